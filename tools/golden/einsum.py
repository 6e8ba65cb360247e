#!/usr/bin/python3
"""Sums of products by equations, by torch.einsum in double: values and gradients.

    tools/golden/einsum.py      writes tests/golden/graph/einsum.npz

Case i has i/equation (bytes), operands i/x0 ..., the result i/y, a cotangent i/c and the gradients i/d0 ... Behind
equations that people write there are random ones.
"""
import pathlib

import numpy as np
import torch

PATH = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/graph/einsum.npz"
rng = np.random.default_rng(23)
SIZES = dict(zip("abcdeijklmnqhABC", (2, 3, 4, 5, 3, 3, 4, 2, 3, 2, 5, 3, 2, 3, 2, 4)))

# Equations; a list of shapes where sizes are not those above.
CASES = [
    "ij,jk->ik", "ij,kj->ik", "ji,jk->ki", "ij,jk", "bij,bjk->bik", "bij,bkj->bik", "bji,bjk->bik", "bqhd,bkhd->bhqk", "bhqk,bkhd->bqhd",
    "i,i", "i,i->i", "i,j->ij", "ij->ji", "ba", "ij->", "ij->j", "ijk->ki", "ii", "ii->i", "ijj->i", "iji->ji", "jiij->ij", "bii->b",
    "ij,j", "abc,cd->abd", "ab,bc->ac", "ab,ab->ab", "ab,ab->a", "ab,ab->", "ab,ba->a", "abc,abc->", "ab,cd->abcd", "ab,cd->dbca",
    "a,b,c->abc", "i,ij,j->", "ij,jk,kl->il", "ij,ij,ij->ij", "ij,k->ij", "ij,k->", "Ab,bC->CA", "Ab,bC", "bnij,bnjk->bnik",
    "abcd,bd->ac", "abcd,dc->ba", "abcde,e->abcd", "i j , j k -> i k",
    ("...ij,...jk->...ik", [(2, 3, 4, 5), (2, 3, 5, 2)]), ("...ij,...jk->...ik", [(4, 1, 2, 3), (5, 3, 2)]), ("...ij,...jk", [(3, 2, 4), (4, 2)]),
    ("...d,de->...e", [(2, 3, 4), (4, 5)]), ("...d,de->...e", [(4,), (4, 5)]), ("b...d,de->b...e", [(2, 3, 2, 4), (4, 5)]), ("...i->...", [(2, 3)]), ("i...->...i", [(2, 3, 4)]),
    ("...->...", [(2, 3)]), ("...,...->...", [(2, 1, 3), (4, 1)]), ("...a->a", [(2, 3, 4)]), ("...a,...a->", [(2, 3), (2, 3)]),
    ("ij,ij->ij", [(1, 3), (4, 3)]), ("ij,jk->ik", [(2, 1), (4, 3)]), ("i,i->", [(1,), (5,)]), ("i,i,i->i", [(1,), (1,), (5,)]), ("ij,ij,jk->ik", [(2, 1), (1, 3), (3, 2)]),
    (",i->i", [(), (3,)]), ("->", [()]), ("i,->", [(3,), ()]), ("i->i", [(1,)]), ("ij,jk->ik", [(0, 3), (3, 2)]), ("ij,jk->ik", [(2, 0), (0, 3)]),
    ("abcdefgh->hgfedcba", [(1, 2, 1, 2, 1, 2, 1, 3)]), ("abcdefgh,h->abcdefg", [(1, 2, 1, 2, 1, 2, 1, 3), (3,)]),
]


def random_case():
    letters = rng.permutation(list("abcdeijk"))[: rng.integers(2, 6)]
    terms = ["".join(rng.choice(letters, size=rng.integers(1, 5))) for _ in range(rng.integers(1, 4))]
    there = sorted(set("".join(terms)))
    out = "".join(rng.permutation(there)[: rng.integers(0, len(there) + 1)])
    return ",".join(terms) + "->" + out


def main():
    arrays = {}
    for i, case in enumerate(CASES + [random_case() for _ in range(30)]):
        equation, shapes = case if isinstance(case, tuple) else (case, None)
        if shapes is None:
            shapes = [tuple(SIZES[c] for c in term) for term in equation.replace(" ", "").split("->")[0].split(",")]
        x = [torch.tensor(rng.normal(size=shape).astype(np.float32).astype(np.float64), requires_grad=True) for shape in shapes]
        y = torch.einsum(equation, *x)
        c = torch.tensor(rng.normal(size=tuple(y.shape)).astype(np.float32).astype(np.float64))
        d = torch.autograd.grad(y, x, c)
        arrays.update({f"{i}/equation": np.frombuffer(equation.encode(), dtype=np.uint8), f"{i}/y": y.detach().numpy(), f"{i}/c": c.numpy()})
        arrays.update({f"{i}/x{k}": a.detach().numpy() for k, a in enumerate(x)})
        arrays.update({f"{i}/d{k}": a.numpy() for k, a in enumerate(d)})
    np.savez_compressed(PATH, **arrays)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
