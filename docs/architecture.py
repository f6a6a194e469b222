#!/usr/bin/env python3
"""Draws the two pictures of architecture.md: `python3 docs/architecture.py`. Standard library only.

To view one as a bitmap: `rsvg-convert -w 800 docs/images/step.svg -o step.png`.
"""

from pathlib import Path
from xml.sax.saxutils import escape

WIDTH = 800
COLOURS = {"host": "#e3edf9", "device": "#fdebd3", "memory": "#e4f3e2", "engine": "#efe6f7"}
FONT = 'font-family="DejaVu Sans, Helvetica, Arial, sans-serif"'


class Picture:
    """Boxes and arrows on a white background; sizes in pixels at a width of 800."""

    def __init__(self, height, about):
        self.height = height
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(about)}</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#333"/></marker></defs>',
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        ]

    def text(self, x, y, words, size=12, anchor="middle", weight="normal", colour="#111"):
        self.parts.append(
            f'<text x="{x}" y="{y}" {FONT} font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}" fill="{colour}">{escape(words)}</text>'
        )

    def box(self, x, y, width, height, kind, title, *lines):
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" '
            f'fill="{COLOURS[kind]}" stroke="#555"/>'
        )
        first = y + (height - 16 * len(lines)) / 2 + 4
        self.text(x + width / 2, first, title, 13, weight="bold")
        for index, line in enumerate(lines):
            self.text(x + width / 2, first + 16 * (index + 1), line)

    def arrow(self, *points, words="", at=None, anchor="middle"):
        path = " ".join(f"{x},{y}" for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="#333" stroke-width="1.5" '
            'marker-end="url(#tip)"/>'
        )
        if words:
            self.text(*at, words, 11, anchor)

    def save(self, name):
        path = Path(__file__).parent / "images" / name
        path.write_text("\n".join([*self.parts, "</svg>", ""]))


def step():
    p = Picture(500, "A step on the GPU")
    p.text(20, 26, "host", 14, "start", "bold", "#345")
    p.box(20, 40, 230, 58, "host", "step, record", "optimizer.rs, groups.rs")
    p.box(300, 40, 200, 58, "host", "prepare", "core/")
    p.arrow((250, 69), (300, 69))
    p.box(550, 40, 230, 58, "host", "uniforms of this step", "rule, schedule, step: slots.rs")
    p.arrow((500, 69), (550, 69))
    p.text(290, 117, "new lists", 11, "end")
    p.arrow((340, 98), (340, 122), (132, 122), (132, 130))
    p.box(20, 130, 230, 74, "host", "check", "lengths, device, usage, overlap:", "tensors.rs, src/step/")
    p.box(300, 130, 200, 74, "host", "plan (pure)", "table.rs, guard/blocks.rs,", "rows/dispatches.rs")
    p.box(550, 130, 230, 74, "host", "kernel", "one file per axis: kernels.rs,", "wgsl.rs; compiled: kernel.rs")
    p.arrow((250, 167), (300, 167))
    p.arrow((500, 167), (550, 167))
    p.box(300, 236, 200, 50, "host", "Pass, cached", "bind groups, grids: pass.rs")
    p.arrow((400, 204), (400, 236))
    p.arrow((665, 204), (665, 261), (500, 261))
    p.arrow((720, 98), (720, 112), (790, 112), (790, 300), (560, 300), (560, 324))
    p.arrow((400, 286), (400, 324), words="encode", at=(408, 312), anchor="start")
    p.text(20, 316, "device: one compute pass", 14, "start", "bold", "#345")
    p.parts.append('<rect x="10" y="324" width="780" height="166" rx="8" fill="none" stroke="#999" stroke-dasharray="5 4"/>')
    boxes = [
        ("sum", "row gradients,", "if needed", "rows/sum.wgsl"),
        ("scan, reduce", "only with a guard", "", "guard/*.wgsl"),
        ("decide", "skip? scale?", "the report", "guard/decide.wgsl"),
        ("step", "locate, load, treat,", "update, keep", "step.wgsl"),
    ]
    for index, (title, *lines) in enumerate(boxes):
        x = 24 + 194 * index
        p.box(x, 336, 168, 84, "device", title, *[line for line in lines if line])
        if index:
            p.arrow((x - 26, 378), (x, 378))
    p.box(24, 440, 750, 40, "memory", "gradients, parameters, state", "the caller's buffers, bound as windows; our own state in arenas: state.rs")
    p.arrow((108, 440), (108, 420))
    p.arrow((302, 440), (302, 420))
    p.arrow((660, 420), (660, 440))
    p.arrow((720, 440), (720, 420))
    p.save("step.svg")


def training():
    p = Picture(520, "A training run")
    p.box(20, 20, 230, 58, "host", "command: cli/", "text, CSV or LIBSVM to rows")
    p.box(290, 20, 220, 58, "host", "data", "Dataset, SparseDataset, order")
    p.box(550, 20, 230, 58, "host", "Trainer", "linear/trainer.rs: one loop")
    p.arrow((250, 49), (290, 49))
    p.arrow((510, 49), (550, 49))
    p.text(656, 100, "batches, samples of the loss", 11, "end")
    p.arrow((665, 78), (665, 120))
    p.box(550, 120, 230, 44, "host", "trait Worker", "linear/worker.rs")
    p.arrow((550, 142), (190, 142), (190, 190))
    p.arrow((600, 164), (600, 190))
    p.text(60, 182, "CPU", 14, "start", "bold", "#345")
    p.text(414, 182, "GPU", 14, "start", "bold", "#345")
    p.box(20, 190, 350, 74, "engine", "gradient of a batch", "dense: 32 runs of rows, linear/dense.rs", "sparse: batches prefetched, linear/prefetched.rs")
    p.box(20, 300, 350, 58, "engine", "step", "cpu/: Rule::update over slices, threads")
    p.arrow((195, 264), (195, 300))
    p.box(414, 190, 366, 74, "memory", "rows in device memory", "the whole table, gathered; or a part,", "streamed: linear/gpu/table.rs")
    p.arrow((500, 264), (500, 300))
    p.arrow((690, 264), (690, 300))
    p.box(414, 300, 176, 92, "device", "large models", "residual, accumulate,", "finish, then the", "optimizer's own step")
    p.box(604, 300, 176, 92, "device", "small models", "descend: many batches", "in one dispatch", "of one workgroup")
    p.box(414, 420, 366, 40, "device", "sum of the losses", "a ring of 64, read back later: linear/gpu/losses.rs")
    p.arrow((502, 392), (502, 420))
    p.arrow((692, 392), (692, 420))
    p.box(20, 420, 350, 40, "engine", "sum of the losses", "the same order of summation")
    p.arrow((195, 358), (195, 420))
    p.box(220, 476, 360, 36, "host", "LinearModel, History", "validation and early stopping by the loop")
    p.arrow((195, 460), (195, 494), (220, 494))
    p.arrow((692, 460), (692, 494), (580, 494))
    p.save("training.svg")


if __name__ == "__main__":
    step()
    training()
