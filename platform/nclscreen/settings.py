"""Every setting in one object: environment variables `NCLSCREEN_*`, with defaults that need nothing installed."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.outage import STORAGE_MAX_WAIT_S
from jobs.storage.base import AddressingStyle, BucketAccess, S3Options, WriteOptions
from jobs.webhooks.signature import secret_bytes
from ncl_model.distributed.node_labels import parse_labels

_PREFIX = "NCLSCREEN_"
#: read where another machine's API is asked, not here
API_KEY = "NCLSCREEN_API_KEY"


class Settings(BaseSettings):
    """Loaded by `nclscreen.wiring` alone. The description of a field is its row in the README's table."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        allow_inf_nan=False,
    )

    home: Path = Field(
        default=Path("~/.nclscreen"), description="folder of all embedded state: SQLite file, heatmaps, logs"
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="`json`: one object a line, on standard error, too, for machines that collect logs",
    )
    database_url: str | None = Field(
        default=None, description="`postgresql://user:password@host/name`; unset: SQLite in the home folder"
    )
    weights: Path | None = Field(default=None, description="model weights (safetensors); unset: those in the package")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="arithmetic of the model: `float32`, or `bfloat16` where the processor has it"
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="score from which an image is flagged; unset: the model's own suggestion"
    )
    heatmaps: Literal["flagged", "all", "none"] = Field(
        default="flagged", description="whose heatmaps are kept: `flagged`, `all` or `none`"
    )
    near_misses: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="`flagged` keeps heatmaps below the threshold, too: of so large a share of authentic photographs",
    )
    heatmaps_uri: str | None = Field(
        default=None, description="where heatmaps are kept: a folder or `s3://bucket/prefix`; unset: the home folder"
    )
    heatmaps_shared: bool = Field(
        default=False, description="`true`: the folder of heatmaps is the same on every node of the cluster"
    )
    models_uri: str | None = Field(
        default=None,
        description="where copies of weights are kept: a folder or `s3://bucket/prefix`; unset: the home folder",
    )
    s3_endpoint_url: str | None = Field(
        default=None, description="endpoint of an S3-compatible storage; unset: `AWS_ENDPOINT_URL_S3`, then AWS"
    )
    s3_addressing_style: AddressingStyle = Field(
        default="auto", description="`path`, `virtual` or `auto`; most storages that are not AWS need `path`"
    )
    s3_region: str | None = Field(default=None, description="region; unset: the standard AWS variables or profile")
    s3_read_timeout_s: float = Field(
        default=60.0, gt=0, description="seconds after which a storage that sends nothing counts as silent"
    )
    s3_max_attempts: int = Field(
        default=4, ge=1, description="tries of one request to the storage, the first included; pauses in between grow"
    )
    s3_requester_pays: bool = Field(
        default=False, description="`true`: we pay for requests to buckets whose owners do not"
    )
    s3_bucket_endpoints: str | None = Field(
        default=None, description="endpoints of single buckets: `maps=https://host:9000,reports=https://...`"
    )
    s3_bucket_profiles: str | None = Field(
        default=None, description="AWS profiles with the credentials of single buckets: `maps=maps-writer`"
    )
    s3_bucket_roles: str | None = Field(
        default=None, description="roles that are assumed for single buckets: `archive=arn:aws:iam::1234:role/reader`"
    )
    s3_bucket_owners: str | None = Field(
        default=None, description="accounts that must own single buckets, else nothing is asked: `archive=123456789012`"
    )
    s3_write_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        default=None,
        description="encryption of what we write: `AES256`, `aws:kms`, `aws:kms:dsse`; unset: the bucket's",
    )
    s3_write_kms_key: str | None = Field(
        default=None, description="the KMS key for it; unset: the bucket's or AWS's own"
    )
    s3_write_storage_class: str | None = Field(
        default=None, description="storage class of what we write, such as `STANDARD_IA`; unset: the storage's default"
    )
    s3_write_acl: str | None = Field(
        default=None, description="canned ACL of what we write, such as `bucket-owner-full-control`; unset: none"
    )
    storage_max_wait_s: float = Field(
        default=STORAGE_MAX_WAIT_S,
        ge=0,
        # the second is its name up to version 0.1
        validation_alias=AliasChoices("NCLSCREEN_STORAGE_MAX_WAIT_S", "NCLSCREEN_STORE_PATIENCE_S"),
        description="seconds a job waits for a storage that is away before its images fail with `timeout`",
    )
    max_silence_s: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="seconds without progress before work is let go; unset: 300, or longer if storages may be silent",
    )
    ray_address: str | None = Field(
        default=None, description="address of a Ray cluster, or `auto`; unset: a local Ray, started and stopped with us"
    )
    replicas: int = Field(default=1, ge=1, description="replicas of the model on Ray Serve")
    max_replicas: int | None = Field(
        default=None, ge=1, description="replicas when there is much to do; unset: always `NCLSCREEN_REPLICAS` of them"
    )
    max_hosted_models: int = Field(
        default=2, ge=1, description="models one dispatcher hosts at once; jobs of further ones wait"
    )
    replica_cpus: float = Field(default=1.0, gt=0, description="CPUs Ray reserves for a replica")
    replica_gpus: float = Field(default=0.0, ge=0, description="GPUs Ray reserves for a replica; 0: the CPU computes")
    replica_labels: str | None = Field(
        default=None,
        description="labels of the nodes that replicas run on: `ray.io/accelerator-type=in(A100,H100)`; unset: any",
    )
    replica_threads: int | None = Field(
        default=None, ge=1, description="CPU threads of a replica; unset: all cores of a local Ray, else `replica_cpus`"
    )
    shards_in_flight: int | None = Field(
        default=None,
        ge=1,
        description="shards being screened at once, over all workers; unset: 2 for each replica, 12 where it has a GPU",
    )
    screening_share_while_training: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of these shards while a run of retraining trains, at least one; 1: as many as ever",
    )
    shards_per_worker: int = Field(
        default=2, ge=1, description="shards a worker process screens at once; they share its batches"
    )
    shard_cpus: float = Field(default=1.0, gt=0, description="CPUs Ray reserves for a shard (fetching and decoding)")
    fetchers: int = Field(default=4, ge=1, description="images a worker fetches and decodes at once")
    batch_size: int = Field(default=8, ge=1, description="images in one call to the model")
    train_labels: str | None = Field(
        default=None, description="labels of the nodes that workers of `train` run on, written alike; unset: any node"
    )
    lease_s: float = Field(default=60.0, gt=0, description="seconds after which a silent worker's shard is taken back")
    max_image_bytes: int = Field(
        default=256 * 1024 * 1024, ge=1, description="larger files get the error code `too_large`; bytes"
    )
    max_pixels: int = Field(
        default=100_000_000, ge=1, description="images with more pixels get the error code `too_large`"
    )
    decode_memory_bytes: int | None = Field(
        default=None,
        ge=64 * 1024 * 1024,
        description="bytes for all decoding in a worker; unset: a quarter of the machine's, shared by its workers",
    )
    decode_deadline_s: float = Field(
        default=20.0, gt=0, description="images that take more seconds of computing to decode are `too_large`"
    )

    webhook_secret: SecretStr | None = Field(
        default=None,
        description="signs webhooks: `whsec_` and base64 of 24 random bytes or more; unset: none is sent",
    )
    webhook_hosts: str | None = Field(
        default=None, description="the only hosts that webhooks go to, with commas between; unset: any but link-local"
    )

    mlflow_tracking_uri: str | None = Field(
        default=None,
        validation_alias=AliasChoices("NCLSCREEN_MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_URI"),
        description="an MLflow server that `up` copies runs and the registry to; also `MLFLOW_TRACKING_URI`",
    )
    mlflow_experiment_name: str = Field(
        default="nclscreen",
        validation_alias=AliasChoices("NCLSCREEN_MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_NAME"),
        description="experiment and registered model there, of this database alone; also `MLFLOW_EXPERIMENT_NAME`",
    )

    keep_days: float | None = Field(
        default=None,
        ge=1,
        description="`up` clears out jobs that ended longer ago, see `nclscreen db vacuum`; unset: none",
    )

    review_lease_s: float = Field(
        default=300.0, gt=0, description="seconds after which an image whose reviewer is silent is given to others"
    )
    api_rate: float = Field(
        default=50.0, gt=0, description="requests a second that one API key may go on making; ten times as many at once"
    )
    proxy_user_header: str | None = Field(
        default=None, description="header in which a trusted proxy says who its user is, such as `X-Forwarded-User`"
    )
    proxy_addresses: str = Field(
        default="127.0.0.1,::1", description="addresses or networks of that proxy, with commas between"
    )
    proxy_project: str = Field(default="default", description="the project of its users, who may not make keys")

    @field_validator("replica_labels", "train_labels")
    @classmethod
    def _check_labels(cls, written: str | None) -> str | None:
        parse_labels(written or "")
        return written

    @field_validator("proxy_addresses")
    @classmethod
    def _check_networks(cls, written: str) -> str:
        for each in networks(written):
            ip_network(each, strict=False)
        return written

    @property
    def proxy_networks(self) -> tuple[str, ...]:
        """Each as the standard library takes it."""
        return networks(self.proxy_addresses)

    @field_validator("webhook_secret")
    @classmethod
    def _check_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            secret_bytes(secret.get_secret_value())
        return secret

    @field_validator("s3_bucket_endpoints", "s3_bucket_profiles", "s3_bucket_roles", "s3_bucket_owners")
    @classmethod
    def _check_pairs(cls, written: str | None) -> str | None:
        per_bucket(written)
        return written

    @property
    def webhook_key(self) -> bytes | None:
        """What webhooks are signed with."""
        return secret_bytes(self.webhook_secret.get_secret_value()) if self.webhook_secret else None

    @property
    def webhook_host_names(self) -> frozenset[str]:
        """In small letters; empty: any."""
        return frozenset(name.strip().lower() for name in (self.webhook_hosts or "").split(",") if name.strip())

    @field_validator("home", "weights")
    @classmethod
    def _expand(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path is not None else None

    @property
    def effective_database_url(self) -> str:
        """What to connect to."""
        return self.database_url or f"sqlite:///{self.home / 'nclscreen.sqlite'}"

    @property
    def effective_heatmaps_uri(self) -> str:
        """A source string as `jobs.storage.parse_source` takes it."""
        return self.heatmaps_uri or str(self.home / "heatmaps")

    @property
    def effective_models_uri(self) -> str:
        """A source string as `jobs.storage.parse_source` takes it."""
        return self.models_uri or str(self.home / "models")

    @property
    def s3(self) -> S3Options:
        return S3Options(
            endpoint_url=self.s3_endpoint_url,
            addressing_style=self.s3_addressing_style,
            region=self.s3_region,
            read_timeout_s=self.s3_read_timeout_s,
            max_attempts=self.s3_max_attempts,
            # every fetcher has a connection of its own, and so have the heatmaps that are written meanwhile
            max_pool_connections=max(32, 2 * self.fetchers),
            requester_pays=self.s3_requester_pays,
            writes=WriteOptions(
                encryption=self.s3_write_encryption,
                kms_key_id=self.s3_write_kms_key,
                storage_class=self.s3_write_storage_class,
                acl=self.s3_write_acl,
            ),
            buckets=self._buckets,
        )

    @property
    def _buckets(self) -> tuple[tuple[str, BucketAccess], ...]:
        endpoints, profiles = per_bucket(self.s3_bucket_endpoints), per_bucket(self.s3_bucket_profiles)
        roles, owners = per_bucket(self.s3_bucket_roles), per_bucket(self.s3_bucket_owners)
        return tuple(
            (
                name,
                BucketAccess(
                    endpoint_url=endpoints.get(name),
                    profile=profiles.get(name),
                    role_arn=roles.get(name),
                    owner=owners.get(name),
                ),
            )
            for name in sorted({*endpoints, *profiles, *roles, *owners})
        )


def networks(written: str) -> tuple[str, ...]:
    """ "10.0.0.1, 10.1.0.0/16" apart."""
    return tuple(each.strip() for each in written.split(",") if each.strip())


def per_bucket(written: str | None) -> dict[str, str]:
    """ "maps=https://a,reports=https://b" by bucket. Raises ValueError."""
    found: dict[str, str] = {}
    for pair in (written or "").split(","):
        if not pair.strip():
            continue
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals and value):
            raise ValueError(f"{pair.strip()!r} is not BUCKET=VALUE; pairs have commas between them")
        if name in found:
            raise ValueError(f"{name!r} is named twice")
        found[name] = value
    return found


def unknown_settings(environment: Iterable[str]) -> list[tuple[str, str | None]]:
    """Names that begin like ours and are none, each with the one that may have been meant."""
    known = {f"{_PREFIX}{name.upper()}" for name in Settings.model_fields} | {API_KEY}
    aliases = [field.validation_alias for field in Settings.model_fields.values()]
    known |= {str(name) for alias in aliases if isinstance(alias, AliasChoices) for name in alias.choices}
    # the library takes them in any case
    strange = sorted(name for name in environment if name.upper().startswith(_PREFIX) and name.upper() not in known)
    return [(name, next(iter(get_close_matches(name.upper(), known, 1, 0.8)), None)) for name in strange]
