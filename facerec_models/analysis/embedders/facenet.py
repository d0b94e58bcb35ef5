"""FaceNet as facenet-pytorch has it: Inception-ResNet v1, 512 numbers, trained on VGGFace2 or CASIA-WebFace.

The embedding: Schroff et al., *FaceNet: A Unified Embedding for Face Recognition and Clustering*, CVPR 2015. The
network: Szegedy et al., *Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning*, AAAI 2017.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from facenet_pytorch import InceptionResnetV1
from torch import Tensor, nn

from facerec_models.errors import WeightsError


class FaceNet(nn.Module):
    """The network: RGB of 0 to 255 as (N, 3, 160, 160) float32, to (N, 512) embeddings of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.network = InceptionResnetV1(pretrained=None, classify=False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the embeddings."""
        embeddings: Tensor = self.network((x - 127.5) / 128)
        return embeddings


def load_facenet(path: Path) -> FaceNet:
    """Build the network with the weights of a released state dictionary, ready to infer.

    The release also contains the layer ``logits``, which told the people of the training set apart; it is dropped.

    Raises
    ------
    WeightsError
        If the file cannot be read as tensors alone, or they do not fit the network.
    """
    facenet = FaceNet()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        facenet.network.load_state_dict({key: state[key] for key in state if not key.startswith("logits.")})
    except (OSError, EOFError, pickle.UnpicklingError, RuntimeError, TypeError, AttributeError) as error:
        # Torch's message is pages long, and suggests to let the file run code.
        raise WeightsError(
            f"{path} holds no weights of facenet-pytorch's InceptionResnetV1, or not them alone"
        ) from error
    return facenet.eval()
