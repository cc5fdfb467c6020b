"""Common Crawl and arXiv from a bucket: a real S3 server on loopback, no s5cmd."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import IndexUnavailable
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import ArxivDownloadExtractStage, CommonCrawlWARCReader
from nemo_curator.stages.text.download.arxiv import ArxivUrlGenerator
from nemo_curator.stages.text.download.common_crawl import CommonCrawlWARCDownloader
from nemo_curator.tasks import DocumentBatch
from tests.stages.text.download.warcs import warc_of

pytest.importorskip("moto")
pytest.importorskip("s3fs")
pytestmark = pytest.mark.slow


def _put(bucket: str, **objects: bytes) -> None:
    import s3fs

    fs = s3fs.S3FileSystem()
    if not fs.exists(bucket):
        fs.mkdir(bucket)
    for name, content in objects.items():
        fs.pipe_file(f"{bucket}/{name}", content)


PAGES = [{"url": f"{n}.html", "html": f"<p>page {n}</p>"} for n in range(5)]


@pytest.mark.usefixtures("store")
def test_warc_files_from_a_bucket(tmp_path: Path) -> None:
    data, places = warc_of(PAGES)
    _put("crawls", **{"crawl-data/a.warc.gz": data})
    downloader = CommonCrawlWARCDownloader(str(tmp_path), use_aws_to_download=True, s3_bucket="crawls")
    downloader.check_before_run()
    path = downloader.download("https://data.commoncrawl.org/crawl-data/a.warc.gz")
    assert path == str(tmp_path / "crawl-data-a.warc.gz")
    assert Path(path).read_bytes() == data
    assert downloader.download("https://data.commoncrawl.org/crawl-data/b.warc.gz") is None
    assert len(list(tmp_path.iterdir())) == 1

    rows = {"warc_filename": ["a.warc.gz"] * 5 + ["gone"]}
    rows["warc_record_offset"] = [offset for offset, _ in places] + [0]
    rows["warc_record_length"] = [length for _, length in places] + [9]
    reader = CommonCrawlWARCReader(s3_bucket="crawls", s3_key_prefix="crawl-data", max_workers=4)
    contents = reader.process(DocumentBatch("d", pd.DataFrame(rows))).to_pandas()["binary_content"]
    assert [content.decode() for content in contents] == [page["html"] for page in PAGES]
    assert reader._consume_drops() == {"record_not_found": 1}


@pytest.mark.usefixtures("store")
def test_papers_from_a_bucket(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        content = gzip.compress(rb"\section{A} text")
        info = tarfile.TarInfo("0001/0001.0001.gz")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    manifest = b"<arXivSRC><file><filename>src/arXiv_src_0001_001.tar</filename></file></arXivSRC>"
    _put("papers", **{"src/arXiv_src_manifest.xml": manifest, "src/arXiv_src_0001_001.tar": buffer.getvalue()})
    stage = ArxivDownloadExtractStage(str(tmp_path), source_prefix="s3://papers/src")
    (batch,) = Pipeline("arxiv").add_stage(stage).run(LocalExecutor(mode="inline")) or []
    assert batch.to_pandas()["text"].tolist() == [r"\section{A} text"]


@pytest.mark.usefixtures("store")
def test_a_bucket_that_is_not_there() -> None:
    with pytest.raises(
        IndexUnavailable, match=r"s3://no-such-bucket/src/arXiv_src_manifest\.xml.*Check the credentials"
    ):
        ArxivUrlGenerator("s3://no-such-bucket/src").generate_urls()
