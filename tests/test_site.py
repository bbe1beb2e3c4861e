"""The course's site: built once from the stored outputs, then read, also in a browser.

What the checks look for is at the end of the file broken on purpose, one thing after
another.
"""

import functools
import http.server
import json
import os
import re
import shutil
import threading
import time

import pytest

from tools import browser, notebooks
from tools import site as tool

pytestmark = [
    pytest.mark.skipif(
        os.environ["KERAS_BACKEND"] != "jax", reason="no number in it: once is enough"
    ),
    pytest.mark.slow,
]
in_browser = pytest.mark.skipif(
    browser.missing() is not None, reason=str(browser.missing())
)

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
def built(served):
    """The built site and what was said while it was built."""
    folder = served[0] / "site"
    return folder, tool.build(folder)


@pytest.fixture(scope="module")
def site(built):
    folder, warnings = built
    if warnings:
        pytest.skip("the site was not built: see test_is_built_without_a_warning")
    return folder


@functools.lru_cache(maxsize=1)
def text_of(path):
    return path.read_text(encoding="utf-8")


def page_of(site, path):
    return site / path.relative_to(tool.ROOT).with_suffix(".html")


# --- the files ------------------------------------------------------------------


def test_is_built_without_a_warning(built):
    assert built[1] == []


def test_a_site_with_faults_leaves_the_old_one(site, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "DOCS", tmp_path)  # where there are no settings
    assert "conf.py" in "".join(tool.build(site))
    assert (site / "index.html").exists()
    shutil.rmtree(site.with_name("site-work"))


def test_every_notebook_and_solution_has_a_page(site):
    assert [path for path in PATHS if not page_of(site, path).is_file()] == []


def test_every_public_module_has_a_page(site):
    files = (tool.ROOT / "aecourse").glob("[a-z]*")
    names = {file.stem for file in files if file.suffix == ".py" or file.is_dir()}
    assert names >= {"layers", "losses", "models"}
    assert names == {page.stem for page in (site / "api").glob("*.html")}


def test_every_link_and_anchor_leads_somewhere_and_nothing_comes_from_elsewhere(site):
    assert tool.problems(site) == []


def test_the_front_page_lists_every_notebook_under_its_part(site):
    front = text_of(site / "index.html")
    stems = [path.stem for path in PATHS if path.parent.name != "solutions"]
    titles = [title for title, _ in tool.by_part()]
    assert len(titles) >= 3
    shown = re.findall(r'<td>.*?href="notebooks/(\w+)\.html"', front)
    assert shown == stems
    headings = [re.search(f"<h2>{re.escape(title)}", front) for title in titles]
    assert None not in headings


@pytest.mark.parametrize("path", PATHS, ids=notebooks.title)
def test_a_notebook_page_offers_its_own_file_and_a_cloud(site, path):
    name = path.relative_to(tool.ROOT).as_posix()
    page = text_of(page_of(site, path))
    above = "../" * name.count("/")
    assert f'href="{above}_sources/{name}"' in page
    assert (site / "_sources" / name).read_bytes() == path.read_bytes()
    owner = notebooks.repository().removeprefix("https://github.com/")
    button = r'<a href="([^"]+)" target="_blank"\s+class="btn btn-sm dropdown-item"'
    colab = f"https://colab.research.google.com/github/{owner}/blob/main/{name}"
    binder = f"https://mybinder.org/v2/gh/{owner}/main?urlpath=lab/tree/{name}"
    assert {colab, binder} <= set(re.findall(button, page))


@pytest.mark.parametrize("path", PATHS, ids=notebooks.title)
def test_every_stored_claim_and_figure_is_shown(site, path):
    notebook = notebooks.read(path)
    page = text_of(page_of(site, path))
    claims = [match["value"] for _, match in notebooks.claims_in(notebook)]
    shown = re.findall(r'class="measured">\[measured ([-+.\de]+)', page)
    assert shown == claims
    data = [
        output.get("data", {})
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    ]
    num_figures = sum("image/png" in part for part in data)
    figures = re.findall(r'<img alt="([^"]+)" src="[./]*_images/\w{64}\.png"', page)
    assert len(figures) == num_figures
    assert all(len(words.split()) >= 5 for words in figures)


@pytest.mark.parametrize("module", sorted(tool.modules()))
def test_a_module_page_describes_every_public_name_with_its_example(site, module):
    import importlib

    loaded = importlib.import_module(f"aecourse.{module}")
    page = text_of(site / "api" / f"{module}.html")
    names = getattr(loaded, "__all__", None) or [
        name
        for name, value in vars(loaded).items()
        if getattr(value, "__module__", None) == loaded.__name__
        and not name.startswith("_")
    ]
    assert [n for n in names if f'id="aecourse.{module}.{n}"' not in page] == []
    num_examples = sum("Example:" in (vars(loaded)[n].__doc__ or "") for n in names)
    shown = re.findall(r'class="doctest ', page)
    assert len(shown) >= num_examples


# --- links ----------------------------------------------------------------------

HERE = "notebooks/00_start_here.ipynb"


@pytest.mark.parametrize(
    "target, file, meant",
    [
        ("01_a.ipynb", None, tool.SiteError),
        ("#setup", HERE, "#setup"),
        ("https://keras.io/a.md", HERE, "https://keras.io/a.md"),
        ("10_variational_autoencoder.ipynb#setup", HERE, None),
        ("solutions/00_start_here.ipynb", HERE, None),
        ("../data/README.md#the-data-folder", HERE, None),
        ("figures/latent_plane.png", HERE, None),
        ("../docs/notation.md", HERE, "../notation.md"),
        ("../README.md", HERE, "../index.md"),
        ("solutions", HERE, "../solutions.md"),
        ("../CHANGELOG.md", HERE, "../changelog.md"),
        (
            "../notebooks/figures/latent_plane.png",
            "docs/index.md",
            "notebooks/figures/",
        ),
        ("../notebooks/00_start_here.ipynb", "docs/index.md", HERE),
        ("claims.md", "benchmarks/RESULTS.md", "claims.md"),
        ("../tools/site.py", HERE, "/blob/main/tools/site.py"),
        ("../aecourse/layers", "docs/library.md", "/tree/main/aecourse/layers"),
        ("../nowhere.md", HERE, tool.SiteError),
        ("../../other/README.md", HERE, tool.SiteError),
    ],
)
def test_a_link_leads_to_the_page_or_to_the_repository(target, file, meant):
    if meant is tool.SiteError:
        with pytest.raises(tool.SiteError, match="leads nowhere"):
            tool.link(target, file or HERE)
        return
    found = tool.link(target, file)
    if meant and meant.startswith("/"):
        assert found == notebooks.repository() + meant
    else:
        assert found.startswith(meant or target)


def test_code_is_left_alone_and_badges_go():
    badge = "[![Open in Colab](https://a.org/b.svg)](https://c.org/d)\n"
    text = "`x[0](a.md)` [here](../README.md)\n\n```python\nx[0](a.md)\n```\n"
    expected = text.replace("../README.md", "../index.md")
    assert tool.adapt(badge + text, HERE) == expected


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
    driver.get_log("browser")  # what earlier pages said
    driver.get(address)
    # A browser that has just started may still show its own empty page.
    wait(driver, THERE, address)
    seen = driver.execute_async_script(LOOK)
    log = driver.get_log("browser")
    seen["console"] = [e["message"] for e in log if e["level"] == "SEVERE"]
    return seen


def sound(seen):
    """Whether nothing is wrong with what `look` saw."""
    return (
        seen["rendered"] == seen["formulas"]
        and seen["errors"] == 0
        and not (seen["lost"] or seen["elsewhere"] or seen["console"])
        and seen["wider"] <= 0
    )


PAGES = {  # the least number of formulas and figures
    "index": (0, 1),
    "notation": (40, 0),
    "api/layers": (0, 0),
    "notebooks/01_linear_autoencoder_is_pca": (100, 3),
    "notebooks/09_probabilistic_pca_and_the_linear_vae": (100, 3),
    "notebooks/13_posterior_collapse": (100, 3),
    "notebooks/solutions/10_variational_autoencoder": (30, 1),
}


@in_browser
@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_its_mathematics_and_figures(driver, served, site, page):
    seen = look(driver, f"{served[1]}/site/{page}.html")
    assert sound(seen), json.dumps(seen, indent=1)
    num_formulas, num_figures = PAGES[page]
    enough = seen["formulas"] >= num_formulas and seen["figures"] >= num_figures
    assert enough, json.dumps(seen, indent=1)


@in_browser
def test_a_page_is_no_wider_than_a_telephone(driver, served, site):
    phone = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        for page in PAGES:
            seen = look(driver, f"{served[1]}/site/{page}.html")
            assert sound(seen), f"{page}: {json.dumps(seen, indent=1)}"
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@in_browser
@pytest.mark.parametrize(
    "words, page",
    [("Hutchinson", "site/notebooks/07"), ("importance_sampled_nll", "site/api/")],
)
def test_the_search_finds_a_page(driver, served, site, words, page):
    driver.get(f"{served[1]}/site/search.html?q={words}")
    links = "[...document.querySelectorAll('#search-results a')]"
    wait(driver, f"return {links}.some((a) => a.href.includes(arguments[0]))", page)


# --- the checks bite ------------------------------------------------------------

OTHER = "http://elsewhere.invalid/a"


@pytest.mark.parametrize(
    "body, fault",
    [
        ('<a href="b.html#there">b</a> <a href="/x" hidden></a>', "/x, which is not"),
        ('<a href="c.html">c</a>', "c.html, which is not there"),
        ('<a href="b.html#gone">b</a>', "has no such anchor"),
        ('<a href="#gone">b</a>', "has no such anchor"),
        ('<a href="../outside.html">b</a>', "which is not there"),
        ('<img src="gone.png" alt="a">', "gone.png, which is not there"),
        ('<img src="a.css">', "without words"),
        (f'<img src="{OTHER}.png" alt="a">', "another machine"),
        (f'<script src="{OTHER}.js"></script>', "another machine"),
        (f'<link rel="stylesheet" href="{OTHER}.css">', "another machine"),
        ('<script src="//elsewhere.invalid/a.js"></script>', "another machine"),
        ("<style>", f"a.css loads {OTHER}"),
    ],
)
def test_a_fault_of_a_page_is_noticed(tmp_path, body, fault):
    folder = tmp_path / "site"
    folder.mkdir()
    (tmp_path / "outside.html").write_text("")
    (folder / "b.html").write_text('<p id="there">')
    (folder / "a.css").write_text(f"@import url({OTHER})" if body == "<style>" else "")
    good = '<a href="b.html#there">b</a><a href="https://keras.io">k</a>'
    (folder / "a.html").write_text(good)
    if body != "<style>":
        assert tool.problems(folder) == []
    (folder / "a.html").write_text(good + body)
    (problem,) = tool.problems(folder)
    assert fault in problem


@in_browser
@pytest.mark.parametrize(
    "body, key",
    [
        (r'<p class="math">\(x^2^3\)</p>', "errors"),
        (r'<p class="math">\(\frac{1\)</p>', "rendered"),
        (r'<p class="math">\(\undefinedmacro\)</p>', "errors"),
        ('<img src="gone.png" alt="a">', "lost"),
        (f'<img src="{OTHER}.png" alt="a">', "elsewhere"),
        ("<script>throw new Error('oh')</script>", "console"),
        ('<p style="width: 5000px">wide</p>', "wider"),
        ('<p class="math">x</p>', "rendered"),
        (r'<p class="math">\(x\)</p>', None),
    ],
)
def test_a_fault_in_the_browser_is_noticed(driver, served, site, body, key):
    # A name of its own, for a browser keeps what it has read.
    page = served[0] / f"broken_{len(list(served[0].iterdir()))}.html"
    script = '<script src="site/_static/mathjax/tex-svg.js"></script>'
    icon = '<link rel="icon" href="site/_static/favicon.svg">'
    page.write_text(f"{icon}{script}<article>{body}</article>")
    seen = look(driver, f"{served[1]}/{page.name}")
    assert sound(seen) is (key is None), json.dumps(seen, indent=1)
    if key == "rendered":
        assert seen["rendered"] < seen["formulas"]
    elif key:
        assert seen[key]
