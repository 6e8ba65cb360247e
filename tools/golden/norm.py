#!/usr/bin/python3
"""Makes tests/golden/graph/norm.txt: normalisations, embeddings and rotations as torch has them, forward and backward, in double.
Operands are multiples of 1/4096, so that ten digits say them exactly.

A case is

    op NAME KEY=VALUE ...      attributes
    in SHAPE NUMBERS           each operand
    out SHAPE NUMBERS          each output that torch tells; "out none" for the others
    dy SHAPE NUMBERS           the cotangent of output 0
    dx SHAPE NUMBERS           the gradient of each operand; "dx none" of one that has none

Rotary tables are checked against the rotation as complex numbers.

    tools/golden/norm.py > tests/golden/graph/norm.txt
"""
import torch
import torch.nn.functional as F

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)


def line(key, t):
    if t is None:
        print(key, "none")
    else:
        shape = ",".join(map(str, t.shape)) or "scalar"
        print(key, shape, *["%.10g" % v for v in t.detach().reshape(-1).tolist()])


def rounded(t):
    return torch.round(t.detach() * 4096) / 4096


def case(name, attributes, operands, function, extra=()):
    """function(*operands) -> y; extra: what outputs 1, 2 ... are."""
    operands = [rounded(t).requires_grad_(t.is_floating_point()) for t in operands]
    y = function(*operands)
    dy = rounded(torch.randn_like(y))
    floats = [t for t in operands if t.requires_grad]
    grads = dict(zip(map(id, floats), torch.autograd.grad(y, floats, dy, allow_unused=True)))
    print("op", name, *["%s=%s" % (k, str(v).lower()) for k, v in attributes.items()])
    for t in operands:
        line("in", t)
    line("out", y)
    for t in extra:
        line("out", t)
    line("dy", dy)
    for t in operands:
        line("dx", grads.get(id(t)))


def last(t):
    return t.movedim(1, -1).contiguous()


def first(t):
    return t.movedim(-1, 1).contiguous()


def channels(offset, shapes):
    for shape in shapes:
        c = shape[1]
        x, scale, shift = rounded(torch.randn(shape) * 2 + offset), torch.randn(c), torch.randn(c)
        axes = [i for i in range(len(shape)) if i != 1]
        both = {"has_scale": True, "has_shift": True}
        stats = (x.mean(axes), x.var(axes, unbiased=False))
        for where in (1, -1):
            if len(shape) == 2 and where == -1:
                continue
            to, back = (lambda t: t, lambda t: t) if where == 1 else (last, first)
            a = {"channel_axis": where, "epsilon": 0.001, **both}
            case("batch_norm", a, [to(x), scale, shift],
                 lambda v, s, b: to(F.batch_norm(back(v), None, None, s, b, training=True, eps=0.001)), stats)
            mean, variance = rounded(torch.randn(c)), rounded(torch.rand(c) + 0.5)
            case("batch_norm", {**a, "has_statistics": True}, [to(x), scale, shift, mean, variance],
                 lambda v, s, b, m, r: to((back(v) - m.view([1, c] + [1] * (len(shape) - 2)))
                                          / torch.sqrt(r.view([1, c] + [1] * (len(shape) - 2)) + 0.001)
                                          * s.view([1, c] + [1] * (len(shape) - 2))
                                          + b.view([1, c] + [1] * (len(shape) - 2))), (mean, variance))
            case("batch_norm", {"channel_axis": where, "epsilon": 1e-05}, [to(x)],
                 lambda v: to(F.batch_norm(back(v), None, None, training=True)), stats)
            for groups in {1, 2 if c % 2 == 0 else c, c}:
                case("group_norm", {**a, "groups": groups}, [to(x), scale, shift],
                     lambda v, s, b: to(F.group_norm(back(v), groups, s, b, 0.001)))
            if len(shape) > 2:
                case("instance_norm", a, [to(x), scale, shift],
                     lambda v, s, b: to(F.instance_norm(back(v), None, None, s, b, eps=0.001)))
                case("local_response_norm", {"channel_axis": where, "size": 3, "alpha": 0.3, "beta": 0.6, "bias": 1.5},
                     [to(x)], lambda v: to(F.local_response_norm(back(v), 3, 0.3, 0.6, 1.5)))


def rows():
    for shape, axis in [((3, 5), 1), ((2, 3, 4), 2), ((2, 3, 4), 1), ((2, 3, 4), 0)]:
        x, n = rounded(torch.randn(shape) + 3), shape[axis:]
        scale, shift = torch.randn(n), torch.randn(n)
        axes = list(range(axis, len(shape)))
        mean = x.mean(axes, keepdim=True)
        inverse = 1 / torch.sqrt(x.var(axes, unbiased=False, keepdim=True) + 0.001)
        case("layer_norm", {"axis": axis, "epsilon": 0.001, "has_scale": True, "has_shift": True}, [x, scale, shift],
             lambda v, s, b: F.layer_norm(v, n, s, b, 0.001), (mean, inverse))
        case("layer_norm", {"axis": axis, "epsilon": 0.001}, [x], lambda v: F.layer_norm(v, n, eps=0.001))
        case("rms_norm", {"axis": axis, "epsilon": 0.001, "has_scale": True}, [x, scale],
             lambda v, s: v * torch.rsqrt((v * v).mean(axes, keepdim=True) + 0.001) * s)


def rotary():
    for dim, interleaved in [(8, False), (8, True), (4, False), (4, True)]:
        x, angle = torch.randn(2, 5, 3, 8), torch.randn(2, 5, 1, dim // 2)

        def turn(v, c, s):
            part = v[..., :dim]
            a, b = (part[..., 0::2], part[..., 1::2]) if interleaved else part.chunk(2, -1)
            z = torch.complex(a, b) * torch.complex(c, s)
            pairs = torch.stack([z.real, z.imag], -1).flatten(-2) if interleaved else torch.cat([z.real, z.imag], -1)
            return torch.cat([pairs, v[..., dim:]], -1)
        case("rotary_embedding", {"dim": dim, "interleaved": interleaved}, [x, torch.cos(angle), torch.sin(angle)], turn)


def main():
    channels(0, [(4, 3), (3, 4, 3), (2, 4, 3, 2), (2, 2, 2, 1, 2)])
    channels(30, [(2, 3, 3)])
    rows()
    rotary()


main()
