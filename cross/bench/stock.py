"""Writes the stock ONNX exports: fp32, and int8 in the two usual ways.

In: the checkpoint. Out: folders OUT/fp32, OUT/int8 (linear layers as signed int8 per column) and
OUT/hub (every operator that onnxruntime quantizes on its own, unsigned: what files named
`_quantized` on the model hub are), in the layout that optimum writes: an encoder of 30 s, a merged
decoder. Needs torch, transformers and optimum-onnx.

    python stock.py CHECKPOINT OUT
"""

import shutil
import sys
import warnings
from pathlib import Path

GRAPHS = ("encoder_model.onnx", "decoder_model_merged.onnx")
PAPERS = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json")


def export(checkpoint, out):
    """optimum's own export."""
    from optimum.exporters.onnx import main_export

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main_export(
            str(checkpoint), output=out, task="automatic-speech-recognition-with-past",
            device="cpu", do_validation=False)


def main(checkpoint, out):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    checkpoint, out = Path(checkpoint), Path(out)
    export(checkpoint, out / "fp32")
    for path in (out / "fp32").iterdir():
        if path.name not in GRAPHS and not path.name.startswith(tuple(f"{g}_" for g in GRAPHS)):
            path.unlink()
    for name in ("fp32", "int8", "hub"):
        (out / name).mkdir(exist_ok=True)
        for paper in PAPERS:
            shutil.copyfile(checkpoint / paper, out / name / paper)
    subgraphs = {"EnableSubgraph": True, "MatMulConstBOnly": True}
    for graph in GRAPHS:
        source = str(out / "fp32" / graph)
        quantize_dynamic(
            source, str(out / "int8" / graph), weight_type=QuantType.QInt8, per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm"], extra_options=subgraphs)
        quantize_dynamic(
            source, str(out / "hub" / graph), weight_type=QuantType.QUInt8,
            extra_options=subgraphs)


if __name__ == "__main__":
    main(*sys.argv[1:])
