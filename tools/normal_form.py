"""The one form in which a notebook is committed.

python -m tools.normal_form          rewrite all in it, without executing them
"""

import base64
import hashlib
import io
import sys

import nbformat
from nbconvert.preprocessors.coalescestreams import CoalesceStreamsPreprocessor
from PIL import Image, UnidentifiedImageError

from tools import notebooks

WIDGET = "application/vnd.jupyter.widget"
_PYTHON = {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {**_PYTHON, "pygments_lexer": "ipython3"},
}


def normalize(notebook):
    """Return a copy of a notebook in the one form in which it is committed.

    Nothing that differs between two executions or two editors is kept: stderr, widget
    state, cell metadata but tags, versions. A cell's id is a hash of its text, so it
    moves with the cell, and a text edited after the last save is noticed.
    """
    result = nbformat.v4.new_notebook(metadata=METADATA)
    result.nbformat, result.nbformat_minor = 4, 5
    count = 0
    seen = {}
    for cell in notebook.cells:
        source = "\n".join(line.rstrip() for line in cell.source.rstrip().split("\n"))
        tags = sorted(set(cell.metadata.get("tags", [])))
        digest = hashlib.sha256(f"{cell.cell_type}\n{source}".encode()).hexdigest()
        seen[digest] = seen.get(digest, 0) + 1
        copy = nbformat.from_dict(
            {
                "cell_type": cell.cell_type,
                "source": source,
                "metadata": {"tags": tags} if tags else {},
                "id": digest[:12] + (f"-{seen[digest]}" if seen[digest] > 1 else ""),
            }
        )
        if cell.cell_type == "code":
            count += 1
            executed = cell.get("execution_count") is not None
            copy.execution_count = count if executed else None
            copy.outputs = _normal_outputs(cell)
            for output in copy.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = copy.execution_count
        if cell.get("attachments"):
            copy.attachments = cell.attachments
        result.cells.append(copy)
    return result


def _compact(encoded):
    """A PNG in 256 colors, a third of the size; one that is so already is kept."""
    try:
        image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    except UnidentifiedImageError:
        return encoded
    if image.mode == "P":
        return encoded
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A") if "A" in image.mode else None)
    compact = io.BytesIO()
    paper.quantize(256, dither=Image.Dither.NONE).save(compact, "png", optimize=True)
    return base64.b64encode(compact.getvalue()).decode("ascii")


def _normal_outputs(cell):
    """A code cell's outputs without stderr, widgets and what an execution leaves."""
    kept = []
    for output in cell.get("outputs", []):
        output = nbformat.from_dict(output)
        data = output.get("data", {})
        # A widget without a kernel is only the text of its repr.
        if output.get("name") == "stderr" or any(k.startswith(WIDGET) for k in data):
            continue
        if "image/png" in data:
            data["image/png"] = _compact(data["image/png"].strip())
        if data:
            output.metadata = {}
            output.pop("transient", None)
        kept.append(output)
    # As nbval does before it compares: what a progress bar wrote last stays.
    merged = nbformat.v4.new_code_cell(outputs=kept)
    return CoalesceStreamsPreprocessor().preprocess_cell(merged, {}, 0)[0].outputs


def to_text(notebook):
    """Serialize a notebook; equal notebooks give equal bytes."""
    return nbformat.writes(
        notebook, indent=1, sort_keys=True, ensure_ascii=False
    ).rstrip("\n") + ("\n")


def write(path, notebook):
    """Write a notebook whole or not at all; leave an equal file untouched."""
    text = to_text(notebook)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    partial = path.with_suffix(".ipynb.partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)
    return True


def main(arguments=None):
    """Rewrite notebooks; return the exit status."""
    for path in notebooks.find(notebooks.parser(__doc__).parse_args(arguments).only):
        if write(path, normalize(notebooks.read(path))):
            print(f"{notebooks.title(path)} rewritten in normal form")
    return 0


if __name__ == "__main__":
    sys.exit(main())
