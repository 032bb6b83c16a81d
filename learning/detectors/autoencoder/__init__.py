"""A convolutional autoencoder: errors where an image is not made from a code as good parts are."""

from learning.detectors.autoencoder.detector import AutoencoderConfig, ConvolutionalAutoencoder

__all__ = ["AutoencoderConfig", "ConvolutionalAutoencoder"]
