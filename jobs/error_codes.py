"""What the error codes of images mean and what to do: the one table behind docs, report, failure threshold and
completion report."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.errors import ErrorCode


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeNote:
    """What is said of one code, as parts of sentences; names of settings stand between backticks."""

    #: what happened
    meaning: str
    #: what a person can do
    remedy: str
    #: in completion reports; empty where no HTTP status says it
    http_status: str = ""

    @property
    def sentences(self) -> str:
        """Both, as people read them where there is no Markdown."""
        words = f"{self.meaning[0].upper()}{self.meaning[1:]}. {self.remedy[0].upper()}{self.remedy[1:]}."
        return words.replace("`", "")


NOTES: dict[ErrorCode, CodeNote] = {
    ErrorCode.NOT_FOUND: CodeNote(
        meaning="the object is not there (any more), or is a link that leads nowhere, or no regular file",
        remedy="find out whether they were moved or deleted since the job was submitted",
        http_status="404",
    ),
    ErrorCode.ACCESS_DENIED: CodeNote(
        meaning="the storage or the file system refuses to give it out to us; a key with `/` behind is a folder that "
        "could not be listed",
        remedy="mend the permissions of the files, bucket or role",
        http_status="403",
    ),
    ErrorCode.ARCHIVED: CodeNote(
        meaning="the object lies in an archive (Glacier, an archive tier), from which it must be restored first",
        remedy="restore the objects, or leave out their storage class",
        http_status="403",
    ),
    ErrorCode.CHANGED: CodeNote(
        meaning="it is not what it was when the job was prepared, or became another while it was read",
        remedy="retry them: they are then screened as they are now",
        http_status="412",
    ),
    ErrorCode.REFUSED: CodeNote(
        meaning="the storage refuses the request itself, for good: a disabled key, another region, an encryption of "
        "the customer's own; the message has the storage's own code",
        remedy="mend what the storage's own code in the message says, of the objects or of the settings",
        http_status="400",
    ),
    ErrorCode.EMPTY: CodeNote(
        meaning="it has no bytes: often an upload that was broken off",
        remedy="fetch the originals",
    ),
    ErrorCode.UNSUPPORTED_FORMAT: CodeNote(
        meaning="it is no JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF, whatever its name says; RAW, HEIC and PDF are not "
        "read",
        remedy="narrow the source, or convert them",
    ),
    ErrorCode.CORRUPT: CodeNote(
        meaning="it begins like an image, but is damaged or cut off",
        remedy="fetch the originals; a viewer that shows half of an image is no help",
    ),
    ErrorCode.TOO_LARGE: CodeNote(
        meaning="it has more bytes than `NCLSCREEN_MAX_IMAGE_BYTES`, more pixels than "
        "`NCLSCREEN_MAX_PIXELS`, or asks for more memory or time to decode than "
        "`NCLSCREEN_DECODE_MEMORY_BYTES` and `NCLSCREEN_DECODE_DEADLINE_S` give it",
        remedy="look at the messages, which say what it is, and raise that limit if you trust the files, or scale them "
        "down",
    ),
    ErrorCode.TIMEOUT: CodeNote(
        meaning="the storage did not answer, throttled or broke off, also when asked again",
        remedy="see whether the storage is there for these credentials",
    ),
    ErrorCode.MODEL_ERROR: CodeNote(
        meaning="the model failed on this image alone, or screening it failed in some other way three times",
        remedy="look into the log, and please report it with the image, if you may share it",
    ),
}
