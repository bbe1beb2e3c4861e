"""The course's site: built once from the stored outputs, then read, also in a browser.

What the checks look for is at the end of the file broken on purpose.
"""

import functools
import http.server
import importlib
import json
import os
import re
import threading
import time

import pytest

from tools import address, browser, build_site, notebooks

pytestmark = [
    pytest.mark.skipif(
        os.environ["KERAS_BACKEND"] != "jax", reason="no number in it: once is enough"
    ),
    pytest.mark.slow,
]
in_browser = pytest.mark.skipif(
    browser.missing() is not None, reason=str(browser.missing())
)

ROOT = notebooks.ROOT
PATHS = notebooks.find()
SECONDS_FOR_A_SCRIPT = 60  # a page of 150 formulas takes 2 on an idle machine


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder that is served on this machine alone, and its address."""
    folder = tmp_path_factory.mktemp("served")
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def site(served):
    folder = served[0] / "site"
    assert build_site.build(folder) == []
    return folder


# --- the files ------------------------------------------------------------------


def test_every_notebook_has_a_page_with_its_claims_figures_file_and_cloud(site):
    owner = address.repository().removeprefix("https://github.com/")
    button = r'<a href="([^"]+)" target="_blank"\s+class="btn btn-sm dropdown-item"'
    for path in PATHS:
        name = path.relative_to(ROOT).as_posix()
        page = (site / name).with_suffix(".html").read_text(encoding="utf-8")
        notebook = notebooks.read(path)
        claims = [match["value"] for _, match in notebooks.claims_in(notebook)]
        shown = re.findall(r'class="measured">\[measured ([-+.\de]+)', page)
        assert shown == claims, name
        outputs = [output for _, output in notebooks.outputs_of(notebook)]
        num_figures = sum("image/png" in out.get("data", {}) for out in outputs)
        figures = re.findall(r'<img alt="([^"]+)" src="[./]*_images/\w{64}\.png"', page)
        assert len(figures) == num_figures, name
        assert all(len(words.split()) >= 5 for words in figures), name
        assert (site / "_sources" / name).read_bytes() == path.read_bytes()
        assert f'href="{"../" * name.count("/")}_sources/{name}"' in page
        colab = f"https://colab.research.google.com/github/{owner}/blob/main/{name}"
        binder = f"https://mybinder.org/v2/gh/{owner}/main?urlpath=lab/tree/{name}"
        assert {colab, binder} <= set(re.findall(button, page)), name


def test_the_front_page_lists_every_notebook_in_its_table_and_beside_it(site):
    front = (site / "docs" / "index.html").read_text(encoding="utf-8")
    stems = [path.stem for path in PATHS if path.parent.name != "solutions"]
    table = re.findall(r'<td>.*?href="\.\./notebooks/(\w+)\.html"', front)
    beside = re.findall(r'toctree-l1".*?href="\.\./notebooks/(\w+)\.html"', front)
    assert table == beside == stems
    assert "docs/index.html" in (site / "index.html").read_text(encoding="utf-8")


def test_a_module_s_page_describes_every_public_name_with_its_example(site):
    files = (ROOT / "aecourse").glob("[a-z]*")
    modules = {file.stem for file in files if file.suffix == ".py" or file.is_dir()}
    assert modules == {page.stem for page in (site / "docs/api").glob("*.html")}
    library = (site / "docs" / "library.html").read_text(encoding="utf-8")
    for module in modules:
        page = (site / f"docs/api/{module}.html").read_text(encoding="utf-8")
        loaded = importlib.import_module(f"aecourse.{module}")
        names = getattr(loaded, "__all__", None) or [
            name
            for name, value in vars(loaded).items()
            if getattr(value, "__module__", None) == loaded.__name__
            and not name.startswith("_")
        ]
        for name in names:
            described = getattr(loaded, name).__doc__
            if callable(getattr(loaded, name)) and described:
                assert f'id="aecourse.{module}.{name}"' in page, (module, name)
        examples = sum("Example:" in (vars(loaded)[n].__doc__ or "") for n in names)
        assert page.count('class="doctest ') >= examples, module
        assert f'href="api/{module}.html"' in library
    # A docstring's names are links, and so is what the prose mentions.
    models = (site / "docs/api/models.html").read_text(encoding="utf-8")
    assert 'href="layers.html#aecourse.layers.' in models
    blocks = (site / "docs/building_blocks.html").read_text(encoding="utf-8")
    assert re.search(r'href="api/\w+\.html#aecourse\.\w+\.\w+"', blocks)
    notation = (site / "docs/notation.html").read_text(encoding="utf-8")
    assert re.search(r'href="\.\./notebooks/09_\w+\.html"><[^>]*>09<', notation)


# --- in a browser ---------------------------------------------------------------

LOOK = """
const done = arguments[0];
const ready = window.MathJax && MathJax.startup ? MathJax.startup.promise : null;
Promise.resolve(ready).then(() => {
  const page = document.documentElement;
  const all = (what) => [...document.querySelectorAll(what)];
  done({
    formulas: all(".math").length,
    rendered: all(".math mjx-container").length,
    errors: all("[data-mml-node=merror], [data-mml-node=mtext][fill=red]").length,
    figures: all("article img").length,
    lost: all("article img").filter((i) => !i.naturalWidth).map((i) => i.src),
    elsewhere: performance.getEntriesByType("resource").map((r) => r.name)
      .filter((n) => !n.startsWith(location.origin) && !n.startsWith("data:")),
    wider: page.scrollWidth - page.clientWidth,
  });
});
"""


THERE = "return location.href == arguments[0] && document.readyState == 'complete'"


@pytest.fixture(scope="module")
def driver():
    with browser.chromium() as driver:
        driver.set_script_timeout(SECONDS_FOR_A_SCRIPT)
        yield driver


def wait(driver, script, *arguments):
    """Wait until a script returns something true."""
    end = time.monotonic() + SECONDS_FOR_A_SCRIPT
    while not driver.execute_script(script, *arguments):
        assert time.monotonic() < end, f"never true: {script} with {arguments}"
        time.sleep(0.1)


def look(driver, address):
    """What a reader's browser makes of a page."""
    browser.complaints(driver)  # what earlier pages said
    driver.get(address)
    # A browser that has just started may still show its own empty page.
    wait(driver, THERE, address)
    seen = driver.execute_async_script(LOOK)
    seen["console"] = browser.complaints(driver)
    return seen


def faults(seen):
    """The names of what is wrong in what `look` saw."""
    found = {key for key in ("errors", "lost", "elsewhere", "console") if seen[key]}
    found |= {"wider"} if seen["wider"] > 0 else set()
    return found | ({"rendered"} if seen["rendered"] != seen["formulas"] else set())


PAGES = {  # the least number of formulas and figures
    "docs/index": (0, 1),
    "docs/notation": (40, 0),
    "docs/api/layers": (0, 0),
    "notebooks/01_linear_autoencoder_is_pca": (100, 3),
    "notebooks/13_posterior_collapse": (100, 3),
    "notebooks/solutions/10_variational_autoencoder": (30, 1),
}
PHONE = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}


@in_browser
def test_pages_show_their_mathematics_and_figures_on_screen_and_telephone(
    driver, served, site
):
    for metrics in (None, PHONE):
        if metrics:
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        for page, (num_formulas, num_figures) in PAGES.items():
            seen = look(driver, f"{served[1]}/site/{page}.html")
            assert not faults(seen), f"{page}: {json.dumps(seen, indent=1)}"
            assert seen["formulas"] >= num_formulas and seen["figures"] >= num_figures
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@in_browser
def test_the_search_finds_words_and_names_and_the_root_is_the_front_page(
    driver, served, site
):
    links = "[...document.querySelectorAll('#search-results a')]"
    for words, page in (
        ("Hutchinson", "/notebooks/07"),
        ("importance_sampled", "/api/"),
    ):
        driver.get(f"{served[1]}/site/search.html?q={words}")
        wait(driver, f"return {links}.some((a) => a.href.includes(arguments[0]))", page)
    driver.get(f"{served[1]}/site/")
    wait(driver, "return location.pathname == '/site/docs/index.html'")


# --- the checks bite ------------------------------------------------------------

OTHER = "http://elsewhere.invalid/a"


def test_sphinx_complains_about_each_link_that_leads_nowhere(tmp_path):
    good = "[a](other.md) [b](other.md#there) [c](#here) [d](https://keras.io)"
    bad = {
        "gone.md": "[a](gone.md)",
        "'docs/other': 'gone'": "[a](other.md#gone)",
        "nowhere": "[a](#nowhere)",
        "gone.png": "![a](gone.png)",
        "../../outside.md": "[a](../../outside.md)",
    }
    source = tmp_path / "docs"
    source.mkdir()
    (source / "other.md").write_text("---\norphan: true\n---\n\n# There\n")
    text = "\n\n".join(["# Here", good, *bad.values()])
    (source / "index.md").write_text(f"{text}\n")
    said = build_site.sphinx(tmp_path, tmp_path / "site")
    assert len(said) == len(bad), said
    for target in bad:
        assert any(target in line for line in said), (target, said)


def test_what_a_page_loads_from_another_machine_is_noticed(tmp_path):
    fine = (
        f'<a href="{OTHER}">a</a><link rel="canonical" href="{OTHER}">'
        '<img alt="a" src="a.png"><script src="../a.js"></script>'
    )
    (tmp_path / "a.css").write_text("a { background: url(a.png) }")
    (tmp_path / "a.html").write_text(fine)
    assert build_site.loaded_from_elsewhere(tmp_path) == []
    for text in (
        f'<img alt="a" src="{OTHER}.png">',
        f'<script async src="{OTHER}.js"></script>',
        '<script src="//elsewhere.invalid/a.js"></script>',
        f'<link rel="stylesheet" type="text/css" href="{OTHER}.css">',
        f'<link href="{OTHER}.css" rel="stylesheet">',
        f"<style>@import url({OTHER}.css)</style>",
    ):
        (tmp_path / "a.html").write_text(fine + text)
        assert len(build_site.loaded_from_elsewhere(tmp_path)) == 1, text
    (tmp_path / "a.html").write_text(fine)
    (tmp_path / "a.css").write_text(f"a {{ background: url('{OTHER}.png') }}")
    assert len(build_site.loaded_from_elsewhere(tmp_path)) == 1


@in_browser
def test_a_fault_in_the_browser_is_noticed(driver, served, site):
    script = '<script src="site/_static/mathjax/tex-svg.js"></script>'
    icon = '<link rel="icon" href="site/_static/favicon.svg">'
    for number, (body, expected) in enumerate(
        (
            (r'<p class="math">\(x\)</p>', set()),
            (r'<p class="math">\(x^2^3\)</p>', {"errors"}),
            (r'<p class="math">\(\frac{1\)</p>', {"rendered"}),
            (r'<p class="math">\(\undefinedmacro\)</p>', {"errors"}),
            ('<img src="gone.png" alt="a">', {"lost", "console"}),
            (f'<img src="{OTHER}.png" alt="a">', {"lost", "elsewhere", "console"}),
            ("<script>throw new Error('oh')</script>", {"console"}),
            ('<p style="width: 5000px">wide</p>', {"wider"}),
            ('<p class="math">x</p>', {"rendered"}),
        )
    ):
        # A name of its own, for a browser keeps what it has read.
        page = served[0] / f"broken_{number}.html"
        page.write_text(f"{icon}{script}<article>{body}</article>")
        seen = look(driver, f"{served[1]}/{page.name}")
        assert expected <= faults(seen), (body, seen)
        assert bool(expected) == bool(faults(seen)), (body, seen)
