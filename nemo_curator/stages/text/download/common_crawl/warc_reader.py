"""`CommonCrawlWARCReader`: the contents of single records, by where they are."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

from nemo_curator.errors import CuratorError, DataError, InputError, OptionError, TransientError, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.download.base.transfer import require_s3
from nemo_curator.stages.text.download.common_crawl.url_generation import DATA_PREFIX
from nemo_curator.stages.text.download.common_crawl.warc_iterator import read_response
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.tasks import DocumentBatch
from nemo_curator.utils.file_utils import get_fs
from nemo_curator.utils.http_fetch import HttpPolicy, fetch_range

__all__ = ["CommonCrawlWARCReader"]


@dataclass
class CommonCrawlWARCReader(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Fetch the content of records that rows name by file, offset and length, as the index of Common Crawl does.

    Only the bytes of these records are fetched, several at once.

    Attributes:
        warc_filename_col: Column with the path of the WARC file in the crawl.
        warc_record_offset_col: Column with the byte where the record begins.
        warc_record_length_col: Column with the number of its bytes.
        binary_content_col: Column that gets the content.
        drop_failed: Leave out rows whose record cannot be had; the report counts them as ``record_not_fetched``,
            ``record_not_found`` or ``record_damaged``. Otherwise they stay, with no content.
        max_workers: Fetches at the same time.
        timeout: Seconds that one step of a fetch may take.
        max_retries: Further attempts after a failed one.
        use_s3: Read from S3 instead of over HTTPS; by default if a bucket is named. Needs the extra ``s3``.
        s3_bucket: The bucket; ``commoncrawl`` if none is named.
        s3_key_prefix: What comes before the path in the bucket.
        base_url: Where the crawls are published, or a mirror.
        storage_options: For the S3 filesystem.
        policy: How to fetch over HTTPS, instead of `timeout` and `max_retries`.
        max_record_bytes: The largest content; a larger one counts as damaged.
    """

    warc_filename_col: str = "warc_filename"
    warc_record_offset_col: str = "warc_record_offset"
    warc_record_length_col: str = "warc_record_length"
    binary_content_col: str = "binary_content"
    drop_failed: bool = True
    max_workers: int = 16
    timeout: float = 30
    max_retries: int = 3
    use_s3: bool | None = None
    s3_bucket: str | None = None
    s3_key_prefix: str | None = None
    base_url: str = DATA_PREFIX
    storage_options: dict[str, Any] = field(default_factory=dict[str, Any])
    policy: HttpPolicy | None = None
    max_record_bytes: int = 1 << 28
    name: str = "common_crawl_warc_reader"
    # Not annotated, so that it is not an argument of the constructor.
    resources = Resources(cpus=1.0)

    def __post_init__(self) -> None:
        if self.max_workers < 1 or self.max_retries < 0 or self.timeout <= 0:
            message = (
                f"stage {self.name!r}: max_workers must be from 1, max_retries from 0 and timeout above 0, "
                f"got {self.max_workers}, {self.max_retries} and {self.timeout}"
            )
            raise OptionError(message)
        self._s3 = self.s3_bucket is not None if self.use_s3 is None else self.use_s3
        self._http = self.policy or HttpPolicy(attempts=self.max_retries + 1, timeout_s=self.timeout)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns that say where records are."""
        return ["data"], [self.warc_filename_col, self.warc_record_offset_col, self.warc_record_length_col]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the column that gets the content."""
        return ["data"], [self.binary_content_col]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if a package is not installed."""
        require("fastwarc", extra="text-download", purpose=f"stage {self.name!r}")
        if self._s3:
            require_s3(f"stage {self.name!r} with S3")

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the rows with the contents of their records."""
        rows = Rows(task)
        places = zip(
            rows.column(self.warc_filename_col),
            rows.column(self.warc_record_offset_col),
            rows.column(self.warc_record_length_col),
            strict=True,
        )
        with ThreadPoolExecutor(self.max_workers) as pool:
            results = list(pool.map(lambda place: self._read(*place), places))
        contents = [content for content, _ in results]
        rows.set_column(self.binary_content_col, contents)
        if self.drop_failed:
            for _, reason in results:
                if reason:
                    self.record_drops(reason, 1)
            rows.keep([content is not None for content in contents])
        return rows.to_batch()

    def _read(self, filename: Any, offset: Any, length: Any) -> tuple[bytes | None, str]:
        """Return the content of a record, or why there is none."""
        try:
            data = self._fetch(str(filename), int(offset), int(length))
            return self._content(data), ""
        except TransientError:
            return None, "record_not_fetched"
        except (InputError, FileNotFoundError):
            return None, "record_not_found"
        # A place that is no number, a part that is not there, a record that is none.
        except (DataError, ValueError, TypeError, EOFError, OSError):
            return None, "record_damaged"

    def _fetch(self, filename: str, offset: int, length: int) -> bytes:
        if not self._s3:
            return fetch_range(f"{self.base_url.rstrip('/')}/{filename.lstrip('/')}", offset, length, self._http)
        parts = [self.s3_bucket or "commoncrawl", self.s3_key_prefix or "", filename]
        url = "s3://" + "/".join(part.strip("/") for part in parts if part.strip("/"))
        try:
            data = get_fs(url, self.storage_options).cat_file(url, start=offset, end=offset + length)
        except (CuratorError, FileNotFoundError):
            raise
        # Stores raise errors of their own kinds.
        except Exception as error:
            message = f"cannot read {url}: {type(error).__name__}: {error}"
            raise TransientError(message) from error
        return cast("bytes", data)

    def _content(self, data: bytes) -> bytes:
        from fastwarc.warc import ArchiveIterator

        for record in ArchiveIterator(io.BytesIO(data), parse_http=True, auto_decode="all"):
            response = read_response(record, self.max_record_bytes)
            if response is not None:
                return response[2]
        message = "there is no response in these bytes"
        raise DataError(message)
