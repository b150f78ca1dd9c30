"""Writes the network as one small ONNX graph of a single step, its large matrices in int8.

In: the run's state. Out: `NAME.onnx` with inputs `mel` [1, bins, 8], `front`, `state` and outputs
`scores` [1, words], `front_next`, `state_next`. Norms are folded into the convolutions. What comes
out is compared with the network before the file gets its name.
"""

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from . import network

OPSET, IR = 17, 8
DIFFERENCE_MAX = 0.08


def load(config, run):
    """The mean of the weights, ready to hear."""
    state = torch.load(run / "state.pt", weights_only=False)
    net = network.WakeNetwork(config["network"], len(config["words"]))
    net.load_state_dict(state["mean"])
    return net.eval(), {"before": None, **state["facts"]}


def _folded(conv, norm):
    """Weight and bias of a convolution with the norm behind it."""
    factor = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
    bias = (norm.bias - norm.running_mean * factor).detach()
    return (conv.weight.detach() * factor[:, None, None]).numpy(), bias.numpy()


class _Graph:
    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, inputs, outputs, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs[0]

    def int8(self, name, weight):
        """A matrix in int8 with a scale for each output."""
        scale = np.abs(weight).max((1, 2)) / 127 + 1e-12
        whole = np.clip(np.round(weight / scale[:, None, None]), -127, 127).astype(np.int8)
        inputs = [
            self.constant(name + "_int8", whole),
            self.constant(name + "_scale", scale.astype(np.float32)),
        ]
        return self.node("DequantizeLinear", inputs, [name], axis=0)

    def conv(self, name, x, weight, bias, small=False, **attributes):
        weight = self.constant(name, weight) if small else self.int8(name, weight)
        bias = self.constant(name + "_bias", bias)
        return self.node("Conv", [x, weight, bias], [name + "_out"], **attributes)

    def slice(self, name, x, begin, end):
        bounds = [
            self.constant(f"{name}_{part}", np.array([value], np.int64))
            for part, value in (("begin", begin), ("end", end), ("axis", 2))
        ]
        return self.node("Slice", [x, *bounds], [name])


def build(net, frames=network.STEP_FRAMES):
    """The graph of one step; of more frames at once, with a score for every 40 ms, to judge it."""
    is_step = frames == network.STEP_FRAMES
    graph = _Graph()
    x = graph.node("Concat", ["front", "mel"], ["heard"], axis=2)
    graph.slice("front_next", x, frames, frames + network.FRONT_MEMORY)
    weight, bias = _folded(net.front, net.front_norm)
    x = graph.conv("front_weight", x, weight, bias, strides=[network.STRIDE])
    x = graph.node("Relu", [x], ["front_steps"])
    steps = frames // network.STRIDE
    memories = [block.memory for block in net.blocks]
    pasts = [f"past_{n}" for n in range(len(memories))]
    graph.node("Split", ["state", graph.constant("memories", np.array(memories, np.int64))],
               pasts, axis=2)
    nexts = []
    for n, block in enumerate(net.blocks):
        longer = graph.node("Concat", [pasts[n], x], [f"longer_{n}"], axis=2)
        nexts.append(graph.slice(f"next_{n}", longer, steps, steps + block.memory))
        weight, bias = _folded(block.depth, block.depth_norm)
        mixed = graph.conv(
            f"depth_{n}", longer, weight, bias, small=True,
            dilations=list(block.depth.dilation), group=weight.shape[0],
        )
        weight, bias = _folded(block.mix, block.mix_norm)
        mixed = graph.conv(f"mix_{n}", mixed, weight, bias)
        mixed = graph.node("Add", [x, mixed], [f"sum_{n}"])
        x = graph.node("Relu", [mixed], [f"steps_{n}"])
    graph.node("Concat", nexts, ["state_next"], axis=2)
    weight, bias = net.head.weight.detach().numpy(), net.head.bias.detach().numpy()
    x = graph.conv("head", x, weight, bias, small=True)
    width, words = net.head.weight.shape[1], net.head.weight.shape[0]
    x = graph.node("Sigmoid", [x], ["step_scores" if is_step else "scores"])
    if is_step:
        graph.node("ReduceMax", [x], ["scores"], axes=[2], keepdims=0)
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    front, state = (1, net.bins, network.FRONT_MEMORY), (1, width, sum(memories))
    made = helper.make_graph(
        graph.nodes, "wake",
        [value("mel", 1, net.bins, frames), value("front", *front),
         value("state", *state)],
        [value("scores", *((1, words) if is_step else (1, words, steps))),
         value("front_next", *front), value("state_next", *state)],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    return model


class OnnxStepper:
    """Runs an exported graph over a spectrogram, step by step or many at once."""

    def __init__(self, model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])

    def scores(self, mel):
        """[bins, frames] to [words, steps]."""
        shapes = {i.name: i.shape for i in self.session.get_inputs()}
        front, state = (np.zeros(shapes[name], np.float32) for name in ("front", "state"))
        mel = network.behind_silence(mel)
        chunk, steps = shapes["mel"][2], mel.shape[1] // network.STEP_FRAMES
        missing = -(steps * network.STEP_FRAMES) % chunk
        mel = np.pad(mel[:, : steps * network.STEP_FRAMES], ((0, 0), (0, missing)))
        out = []
        for at in range(0, mel.shape[1], chunk):
            feed = {"mel": mel[None, :, at : at + chunk], "front": front, "state": state}
            scores, front, state = self.session.run(None, feed)
            per_step = network.STEP_FRAMES // network.STRIDE
            scores = scores[0].reshape(len(scores[0]), -1)
            if chunk != network.STEP_FRAMES:
                scores = scores.reshape(len(scores), -1, per_step).max(2)
            out.append(scores)
        return np.concatenate(out, 1)[:, network.SILENT_STEPS : steps]


def compare(net, model, mel):
    """The largest difference between the network as it was trained and the exported steps."""
    expected = network.stream_scores(net, mel)
    return float(np.abs(OnnxStepper(model).scores(mel) - expected).max())


def export(config, run, out, mel):
    """Writes the graph to `out`; `mel` [bins, frames] is what it is compared with."""
    net, facts = load(config, run)
    data = build(net).SerializeToString()
    difference = compare(net, data, mel)
    if difference > DIFFERENCE_MAX:
        raise SystemExit(f"the exported network differs by {difference:.3f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    part.write_bytes(data)
    part.rename(out)
    return {"bytes": len(data), "difference": difference, **facts}
