"""One prepared run on a machine with a CUDA device: is what it computes what the CPU computes, and how fast is it?

``python -m tests.gpu_check --json FILE [--pictures DIR] [--weights DIR] [--minutes 8]`` needs torch, facenet-pytorch and what else
`facerec_models` imports; no network, Ray, Gradio, FastAPI or MongoDB. PyAV may be missing: then nothing is decoded, and the report
names what was skipped. ``--device cpu --quick`` is a test of the measurement itself.
"""
