import numpy as np
from numpy.typing import NDArray

class SileroVADModel:
    def __call__(
        self, audio: NDArray[np.float32], num_samples: int = 512, context_size_samples: int = 64
    ) -> NDArray[np.float32]: ...

def get_vad_model() -> SileroVADModel: ...
