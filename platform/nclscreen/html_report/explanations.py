"""What the error codes of images mean, in plain words, and what a person can do."""

from jobs.errors import ErrorCode

EXPLANATIONS: dict[ErrorCode, str] = {
    ErrorCode.NOT_FOUND: "The image was listed, but was gone when it was to be read: moved, renamed or deleted.",
    ErrorCode.ACCESS_DENIED: "The storage refused to hand out the image. Check the permissions of these files.",
    ErrorCode.EMPTY: "The file has no bytes; often an upload or a copy that was broken off.",
    ErrorCode.UNSUPPORTED_FORMAT: (
        "Not a photograph in a format that can be read (JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF), whatever its name says."
    ),
    ErrorCode.CORRUPT: "The file begins like an image, but is damaged or cut off. Fetch it again from where it came.",
    ErrorCode.TOO_LARGE: "More bytes or pixels than the limits allow. Raise the limits, or make the image smaller.",
    ErrorCode.TIMEOUT: "The storage did not answer in time, also when asked again. Screening it again may help.",
    ErrorCode.MODEL_ERROR: "The model failed on this image. Please report it, with the image if you may share it.",
}
