"""Writes the network as one small ONNX graph of a single step, its large matrices in int8.

In: the run's state. Out: `NAME.onnx` with inputs `mel` [1, bins, 8], `front` [2, bins],
`state` [steps, width] and outputs `scores` [1, words], `front_next`, `state_next`. Norms are folded
into the weights, and the convolutions are written as products of rows: time comes first, so that
what is remembered is moved in one piece. What comes out is compared with the network before the
file gets its name.
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
    if network.floor_of(state["facts"]) != network.LOG_FLOOR:
        raise SystemExit(f"{run} was trained with another floor: train on from it (`--start`)")
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
        """A matrix [inputs, outputs] in int8 with a scale for each output.

        As Cast and Mul, which ONNX Runtime does once at loading; DequantizeLinear in every step.
        """
        scale = np.abs(weight).max(0) / 127 + 1e-12
        whole = np.clip(np.round(weight / scale), -127, 127).astype(np.int8)
        whole = self.constant(name + "_int8", whole)
        whole = self.node("Cast", [whole], [name + "_whole"], to=TensorProto.FLOAT)
        scale = self.constant(name + "_scale", scale.astype(np.float32))
        return self.node("Mul", [whole, scale], [name])

    def product(self, name, x, weight, added):
        """x times weight, plus what has the name `added` or is an array."""
        if not isinstance(added, str):
            added = self.constant(name + "_bias", added)
        return self.node("Gemm", [x, weight, added], [name + "_out"])

    def rows(self, name, x, indices):
        """The rows of x with these indices, in the indices' shape."""
        return self.node("Gather", [x, self.constant(name + "_at", indices)], [name], axis=0)

    def shape(self, name, x, *shape):
        shape = self.constant(name + "_shape", np.array(shape, np.int64))
        return self.node("Reshape", [x, shape], [name])

    def slice(self, name, x, begin, end):
        bounds = [
            self.constant(f"{name}_{part}", np.array([value], np.int64))
            for part, value in (("begin", begin), ("end", end), ("axis", 0))
        ]
        return self.node("Slice", [x, *bounds], [name])


def _front(graph, net, frames):
    """The first convolution: frames to steps [steps, width]."""
    x = graph.shape("columns", "mel", net.bins, frames)
    x = graph.node("Transpose", [x], ["frames"], perm=[1, 0])
    x = graph.node("Concat", ["front", x], ["heard"], axis=0)
    graph.slice("front_next", x, frames, frames + network.FRONT_MEMORY)
    steps, taps = frames // network.STRIDE, network.FRONT_TAPS
    at = np.arange(steps)[:, None] * network.STRIDE + np.arange(taps)
    x = graph.shape("front_rows", graph.rows("front_taps", x, at), steps, taps * net.bins)
    weight, bias = _folded(net.front, net.front_norm)
    weight = weight.transpose(2, 1, 0).reshape(taps * net.bins, -1)
    x = graph.product("front_steps", x, graph.int8("front_weight", weight), bias)
    return graph.node("Relu", [x], ["steps"])


def _block(graph, n, block, x, steps):
    """Depthwise over time, then over channels; returns the steps and what is remembered."""
    longer = graph.node("Concat", [f"past_{n}", x], [f"longer_{n}"], axis=0)
    memory = graph.slice(f"next_{n}", longer, steps, steps + block.memory)
    depth, depth_bias = _folded(block.depth, block.depth_norm)
    mix, bias = _folded(block.mix, block.mix_norm)
    mix = mix.squeeze(2)
    at = np.arange(network.TAPS)[:, None] * block.depth.dilation[0] + np.arange(steps)
    taps = graph.rows(f"taps_{n}", longer, at)
    weight = graph.constant(f"depth_{n}", depth.transpose(2, 1, 0))
    taps = graph.node("Mul", [taps, weight], [f"weighed_{n}"])
    mixed = graph.node("ReduceSum", [taps, "first_axis"], [f"deep_{n}"], keepdims=0)
    mixed = graph.product(f"mix_{n}", mixed, graph.int8(f"mix_{n}_weight", mix.T), x)
    bias = graph.constant(f"mix_{n}_bias", bias + mix @ depth_bias)
    mixed = graph.node("Add", [mixed, bias], [f"sum_{n}"])
    return graph.node("Relu", [mixed], [f"steps_{n}"]), memory


def build(net, frames=network.STEP_FRAMES):
    """The graph of one step; of more frames at once, with a score for every 40 ms, to judge it."""
    is_step = frames == network.STEP_FRAMES
    graph, steps = _Graph(), frames // network.STRIDE
    memories = [block.memory for block in net.blocks]
    sizes = graph.constant("memories", np.array(memories, np.int64))
    graph.node("Split", ["state", sizes], [f"past_{n}" for n in range(len(memories))], axis=0)
    graph.constant("first_axis", np.array([0], np.int64))
    x, nexts = _front(graph, net, frames), []
    for n, block in enumerate(net.blocks):
        x, memory = _block(graph, n, block, x, steps)
        nexts.append(memory)
    graph.node("Concat", nexts, ["state_next"], axis=0)
    weight, bias = net.head.weight.detach().numpy(), net.head.bias.detach().numpy()
    weight = graph.constant("head_weight", weight.squeeze(2).T)
    x = graph.node("Sigmoid", [graph.product("head", x, weight, bias)], ["step_scores"])
    width, words = net.head.weight.shape[1], net.head.weight.shape[0]
    if is_step:
        graph.node("ReduceMax", [x], ["scores"], axes=[0], keepdims=1)
    else:
        x = graph.node("Transpose", [x], ["word_scores"], perm=[1, 0])
        graph.shape("scores", x, 1, words, steps)
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    front, state = (network.FRONT_MEMORY, net.bins), (sum(memories), width)
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
