"""Numbers for documents: which ids the rows of a group of files have.

Ids are numbered through all groups of a data set, so that a group needs two numbers to be remembered, whatever the number of its rows.
Readers with ``_generate_ids=True`` count the rows of every group first and then number the groups in the order of their paths: which ids
a document gets depends on the files, and on nothing that happens while they are read.

On a Ray cluster the numbers may also be kept by an actor, from one run to the next: `create_id_generator_actor` starts it. No workflow of
this package needs one; it is for pipelines that read with ``_generate_ids`` or ``_assign_ids`` and name no file for the numbers.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, cast

from nemo_curator.errors import DataError, IdGeneratorError, InputError, OutputError, require
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.atomic_io import atomic_output
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path, resolve_url
from nemo_curator.utils.ray_connection import cluster_address, joined_cluster
from nemo_curator.utils.ray_utils import connected_ray

__all__ = [
    "CURATOR_DEDUP_ID_STR",
    "CURATOR_ID_GENERATOR_ACTOR_NAME",
    "IdGeneratorBase",
    "IdsOfActor",
    "create_id_generator_actor",
    "get_id_generator_actor",
    "id_generator_of_actor",
    "kill_id_generator_actor",
    "names_of_group",
    "refuse_id_generator_actor",
    "write_id_generator_to_disk",
]

CURATOR_DEDUP_ID_STR = "_curator_dedup_id"
"""The column of ids."""

CURATOR_ID_GENERATOR_ACTOR_NAME = "curator_deduplication_id_generator"
"""The actor's name, and the namespace that it is in."""


class IdGeneratorBase:
    """Gives groups of files ranges of ids, each following the one before, and remembers them.

    Args:
        start_id: The first id that is free.
        batch_registry: The ranges that were given, first and last id, by `hash_files` of the group.
    """

    def __init__(self, start_id: int = 0, batch_registry: Mapping[str, tuple[int, int]] | None = None) -> None:
        self.next_id = start_id
        self.batch_registry: dict[str, tuple[int, int]] = dict(batch_registry or {})

    def register_batch(self, files: str | Sequence[str], count: int) -> int:
        """Return the first of `count` ids for a group of files; the same one when the group was registered before.

        Raises:
            DataError: The group was registered with another number of rows.
        """
        key = self.hash_files(files)
        known = self.batch_registry.get(key)
        if known is not None:
            rows = known[1] - known[0] + 1
            if rows != count:
                message = (
                    f"{_shown(files)} had {rows} rows when ids were given out and has {count} now: the files have changed. "
                    "Give ids out anew, and find duplicates again"
                )
                raise DataError(message)
            return known[0]
        first = self.next_id
        self.next_id = first + count
        self.batch_registry[key] = (first, self.next_id - 1)
        return first

    def register_batches(self, groups: Sequence[tuple[Sequence[str], int]]) -> list[int]:
        """Register groups, by their files and numbers of rows, in this order; return what `register_batch` returns for each.

        Raises:
            DataError: A group was registered with another number of rows. Those before it are registered now.
        """
        return [self.register_batch(files, count) for files, count in groups]

    def hash_files(self, files: str | Sequence[str]) -> str:
        """Return the name of a group of files: a UUID of version 5, in the namespace of URLs, of the paths joined by ``;``."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, ";".join([files] if isinstance(files, str) else files)))

    def get_batch_range(self, files: str | Sequence[str] | None, key: str | None = None) -> tuple[int, int]:
        """Return the first and last id of a group, that is named by its files or by what `hash_files` made of them.

        A group without rows has a last id below its first.

        Raises:
            ValueError: Neither is given, or both.
            KeyError: No such group was registered.
        """
        if (files is None) == (key is None):
            message = "name the group by its files or by its key, not by both"
            raise ValueError(message)
        return self.batch_registry[self.hash_files(files) if files is not None else cast("str", key)]

    def content(self) -> dict[str, Any]:
        """Return what `to_disk` writes."""
        return {
            "next_id": self.next_id,
            "batch_registry": {key: list(ids) for key, ids in self.batch_registry.items()},
        }

    def to_disk(self, path: str, storage_options: dict[str, Any] | None = None) -> None:
        """Write ``{"next_id": n, "batch_registry": {key: [first, last]}}``; the file is complete or not there.

        Raises:
            OutputError: It cannot be written. Its folder must exist.
        """
        content = self.content()
        fs, inner = resolve_url(path, storage_options) if is_remote_url(path) else (None, local_path(path))
        try:
            with atomic_output(inner, fs, mode="w") as handle:
                json.dump(content, handle)
                handle.write("\n")
        except OSError as error:
            message = f"the ids given out cannot be noted in {path}: {error.strerror or error}. Its folder must exist and be writable"
            raise OutputError(message) from error

    @classmethod
    def from_disk(cls, path: str, storage_options: dict[str, Any] | None = None) -> Self:
        """Return the generator that `to_disk` wrote.

        Raises:
            InputError: There is no such file.
            DataError: It is something else, or damaged.
        """
        try:
            if is_remote_url(path):
                fs, inner = resolve_url(path, storage_options)
                text: str | bytes = fs.cat_file(inner)
            else:
                with open(local_path(path), "rb") as handle:
                    text = handle.read()
        except FileNotFoundError as error:
            message = f"{path}, which says which ids the documents have, is not there. It was written by the run that gave them out"
            raise InputError(message) from error
        try:
            content = json.loads(text)
            return cls(*_checked(content))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"{path} does not say which ids documents have: it is damaged, or another kind of file"
            raise DataError(message) from error


def create_id_generator_actor(filepath: str | None = None, storage_options: dict[str, Any] | None = None) -> None:
    """Start the actor that gives out ids, on the cluster that this process is connected to or that `RAY_ADDRESS` names.

    It is detached: it lives until `kill_id_generator_actor`, or as long as the cluster.

    Args:
        filepath: Ids that were given out before, as `write_id_generator_to_disk` wrote them; read by this process. None by default.
        storage_options: For its filesystem.

    Raises:
        ClusterError: No cluster was named, or it cannot be joined.
        IdGeneratorError: There is such an actor already.
        InputError: There is no such file.
        DataError: It is something else, or damaged.
    """
    start = IdGeneratorBase() if filepath is None else IdGeneratorBase.from_disk(filepath, storage_options)
    with joined_cluster() as ray:
        refuse_id_generator_actor("start another")
        place = {"name": CURATOR_ID_GENERATOR_ACTOR_NAME, "namespace": CURATOR_ID_GENERATOR_ACTOR_NAME}
        options = {**place, "lifetime": "detached", "num_cpus": 0}
        actor = _actor_class(ray).options(**options).remote(start.next_id, start.batch_registry)
        # Whoever asks for it by name right after this shall find it.
        ray.get(actor.content.remote())


def get_id_generator_actor() -> Any:
    """Return Ray's handle of the actor. This process must be connected to its cluster.

    Its methods are those of `IdGeneratorBase`, called by ``.remote(...)``.

    Raises:
        ClusterError: The process is not connected to a cluster.
        IdGeneratorError: There is no such actor.
    """
    ray = connected_ray()
    name = CURATOR_ID_GENERATOR_ACTOR_NAME
    try:
        return ray.get_actor(name, namespace=name)
    except ValueError as error:
        message = (
            f"there is no actor {name!r} on this Ray cluster, which gives ids out to documents; start it with "
            "create_id_generator_actor(), with the file of an earlier one if its ids are wanted again"
        )
        raise IdGeneratorError(message) from error


def kill_id_generator_actor() -> None:
    """End the actor; the ids that it has given out are forgotten, unless `write_id_generator_to_disk` was called.

    Raises:
        ClusterError: No cluster was named, or it cannot be joined.
        IdGeneratorError: There is no such actor.
    """
    with joined_cluster() as ray:
        ray.kill(get_id_generator_actor())


def write_id_generator_to_disk(path: str, storage_options: dict[str, Any] | None = None) -> None:
    """Write the ids that the actor has given out, as `IdGeneratorBase.to_disk` does. This process writes the file.

    Raises:
        ClusterError: No cluster was named, or it cannot be joined.
        IdGeneratorError: There is no such actor.
        OutputError: The file cannot be written.
    """
    id_generator_of_actor().to_disk(path, storage_options)


def id_generator_of_actor(address: str | None = None) -> IdGeneratorBase:
    """Return a copy of what the actor knows now.

    Args:
        address: Its cluster, for a process that is not connected; `RAY_ADDRESS` when not given.

    Raises:
        ClusterError: No cluster was named, or it cannot be joined.
        IdGeneratorError: There is no such actor.
    """
    with joined_cluster(address) as ray:
        return IdGeneratorBase(*_checked(ray.get(get_id_generator_actor().content.remote())))


class IdsOfActor:
    """Ids that the actor gives out, asked for in workers: these are processes that nobody has connected to its cluster.

    On its way to a worker it notes the cluster that the driver is connected to, or that `RAY_ADDRESS` names there.

    Args:
        address: The cluster.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = address

    def __reduce__(self) -> tuple[Any, ...]:
        return IdsOfActor, (cluster_address() or self.address,)

    def __getstate__(self) -> dict[str, Any]:
        # For fingerprints: a pipeline is the same wherever the actor is.
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> IdsOfActor:
        # A copy of a stage is no other stage: where its ids are is not one of its parameters.
        return self

    def known(self) -> IdGeneratorBase:
        """Return a copy of what the actor knows. Raises what `id_generator_of_actor` raises."""
        return id_generator_of_actor(self.address)

    def register(self, groups: Sequence[tuple[list[str], int]]) -> list[int] | None:
        """Register groups, by names and numbers of rows, in this order; return their first ids, or nothing if there is no actor.

        Raises:
            ClusterError: The cluster that was named cannot be joined.
            DataError: A group was registered with another number of rows.
        """
        address = cluster_address() or self.address
        if address is None:
            return None
        with joined_cluster(address) as ray:
            try:
                actor = get_id_generator_actor()
            except IdGeneratorError:
                return None
            try:
                return list(ray.get(actor.register_batches.remote(list(groups))))
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, DataError):
                    raise error.cause from None
                raise


def refuse_id_generator_actor(instead: str) -> None:
    """Raise `IdGeneratorError` if the cluster that this process is connected to has the actor.

    Args:
        instead: What the caller would do, for the message: ids would be given out twice.
    """
    try:
        get_id_generator_actor()
    except IdGeneratorError:
        return
    message = (
        f"the Ray cluster has an actor {CURATOR_ID_GENERATOR_ACTOR_NAME!r} already, so this cannot {instead}: the same ids would stand for "
        "different documents. Keep its ids with write_id_generator_to_disk(path) if they are needed, end it with "
        "kill_id_generator_actor(), and begin again"
    )
    raise IdGeneratorError(message)


def _actor_class(ray: Any) -> Any:
    return ray.remote(num_cpus=0)(IdGeneratorBase)


def __getattr__(name: str) -> Any:
    """Make `IdGenerator`, `IdGeneratorBase` as an actor, when it is asked for: importing this module does not import Ray."""
    if name != "IdGenerator":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    require("ray", extra="ray", purpose="IdGenerator")
    import ray  # pyright: ignore[reportMissingImports]

    return _actor_class(ray)


def names_of_group(task: FileGroupTask) -> list[str]:
    """Return what a group is registered under: its paths; for a part of a file, the path with the bytes that it is about."""
    paths = task.paths
    part = task.byte_range
    return paths if part is None else [f"{path}#bytes={part[0]}-{part[1]}" for path in paths]


def _shown(files: str | Iterable[str]) -> str:
    paths = [files] if isinstance(files, str) else list(files)
    return (
        paths[0] if len(paths) == 1 else f"the group of {len(paths)} files from {paths[0] if paths else 'nowhere'} on"
    )


def _checked(content: Any) -> tuple[int, dict[str, tuple[int, int]]]:
    registry = {str(key): _checked_range(ids) for key, ids in content["batch_registry"].items()}
    return _checked_int(content["next_id"]), registry


def _checked_range(value: Any) -> tuple[int, int]:
    first, last = value
    return _checked_int(first), _checked_int(last)


def _checked_int(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value
