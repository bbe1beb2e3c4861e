"""Run the course's notebooks in JupyterLab, in a real browser, and look at them.

    python -m tools.browser --only 00 --backend jax

Debian's Chromium, without a window, does what a reader does: opens a notebook in the
course's own JupyterLab, chooses Run All Cells and waits. What only a browser shows is
looked at: boxes of errors and of stderr, formulas that are not typeset, lines that are
cut off, complaints in the console. Whether claims hold is for nbval. It runs on a copy.
"""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_server.serverapp import list_running_servers

from tools import notebooks

# Seconds. A notebook takes a minute or two; a busy machine, several times as long.
START_TIMEOUT = 180
NOTEBOOK_TIMEOUT = 1200
# Between two cells the kernel is idle for moments; this long, it has nothing to do.
REST = 2.0

# Chromium starts for one page of this machine: no profile, no updates, no accounts.
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
FLAGS += ("--disable-background-networking", "--no-first-run", "--disable-sync")


def missing():
    """Say which program is missing and how to install it; None if all are there."""
    absent = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    install = "on Debian: apt install chromium chromium-driver"
    return f"{' and '.join(absent)} missing; {install}" if absent else None


@contextlib.contextmanager
def chromium():
    """Yield a WebDriver on a Chromium without window and without history."""
    from selenium import webdriver

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        size = "--window-size=1280,1040"
        for flag in (*FLAGS, size, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # With its path given, selenium does not look for a driver on the network.
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            driver.set_script_timeout(START_TIMEOUT)
            yield driver
        finally:
            driver.quit()


def complaints(driver):
    """What pages have written to the console as errors since the last call."""
    log = driver.get_log("browser")
    return [entry["message"] for entry in log if entry["level"] == "SEVERE"]


# All cells are in the page; no question about news lies over them.
_SETTINGS = {
    "apputils-extension/notification": '{"fetchNews": "false"}',
    "notebook-extension/tracker": '{"windowingMode": "none"}',
}


@contextlib.contextmanager
def laboratory(folder, backend):
    """Yield the address of a notebook, `{}`, in this Python's JupyterLab on `folder`.

    No settings, extensions or kernels of the person who runs it play a part.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
        for name, values in _SETTINGS.items():
            target = Path(own, "lab/user-settings/@jupyterlab", name)
            target.parent.mkdir(parents=True)
            target.with_suffix(".jupyterlab-settings").write_text(values)
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += [f"--ServerApp.root_dir={folder}"]
        names = "CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR", "PATH"
        environment = {f"JUPYTER_{name}": own for name in names} | {"IPYTHONDIR": own}
        environment |= {"KERAS_BACKEND": backend, "JUPYTER_PREFER_ENV_PATH": "1"}
        with open(Path(own, "log"), "w+") as log:
            server = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | environment
            )
            try:
                end = time.monotonic() + START_TIMEOUT
                while not (running := list(list_running_servers(own))):
                    if server.poll() is not None or time.monotonic() > end:
                        log.seek(0)
                        raise SystemExit(f"JupyterLab does not start:\n{log.read()}")
                    time.sleep(0.3)
                address = "{url}lab/tree/{{}}.ipynb?reset&token={token}"
                yield address.format(**running[0])
            finally:
                server.terminate()
                server.wait(60)


# The prompts of all code cells, what a dialog says, and whether the kernel is at rest.
_STATE = """
const text = (node) => node.innerText.replace(/\\s+/g, " ").trim();
const dialog = document.querySelector(".jp-Dialog");
const indicator = document.querySelector(".jp-Notebook-ExecutionIndicator");
return {
  prompts: [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")]
    .map((cell) => text(cell.querySelector(".jp-InputPrompt"))),
  dialog: dialog ? text(dialog) : null,
  idle: Boolean(indicator) && indicator.dataset.status === "idle",
};"""


def wait(driver, reached, timeout, what):
    """Wait until the notebook's state is `reached`, and stays so for `REST` seconds.

    Raises:
        NotebookFailure: naming the first cell without a number, when time runs out or
            JupyterLab opens a dialog (so it does when the kernel has died).
    """
    end, since = time.monotonic() + timeout, None
    while True:
        state, now = driver.execute_script(_STATE), time.monotonic()
        since = (since or now) if state["idle"] and reached(state["prompts"]) else None
        if since and now - since > REST:
            return
        if state["dialog"] or now > end:
            waiting = [p for p in state["prompts"] if not any(map(str.isdigit, p))]
            number = state["prompts"].index(waiting[0]) + 1 if waiting else 0
            why = state["dialog"] or f"not {what} after {timeout} s"
            raise notebooks.NotebookFailure(f"code cell {number}: {why}")
        time.sleep(0.2)


def run_all(driver, address, name):
    """Open a notebook and choose Run, Run All Cells; wait until the kernel rests."""
    from selenium.webdriver.common.by import By

    driver.get(address.format(name))
    wait(driver, bool, START_TIMEOUT, "open")
    menu = "//*[contains(@class, 'lm-MenuBar-itemLabel')][text()='Run']"
    driver.find_element(By.XPATH, menu).click()
    item = ".lm-Menu-item[data-command='runmenu:run-all']"
    driver.find_element(By.CSS_SELECTOR, item).click()
    started = (
        "return /\\[[*\\d]/.test(document.querySelector('.jp-Notebook').innerText)"
    )
    while not driver.execute_script(started):
        time.sleep(0.1)
    wait(driver, lambda all_: not any("*" in p for p in all_), NOTEBOOK_TIMEOUT, "done")


# What a reader would find ugly. Each cell is brought into view and given two frames.
_FAULTS = """
const done = arguments[0], found = [];
// The copy of a formula for screen readers is not seen, however wide it is.
const hide = document.head.appendChild(document.createElement("style"));
hide.textContent = "mjx-assistive-mml { display: none !important }";
const red = "mjx-merror, [data-mjx-error], mjx-container [style*='color: red']";
const output = ".jp-OutputArea-output";
const faults = {
  [`${output}[data-mime-type$='.stderr']`]: "shows a red box: an error or stderr",
  [red]: "has a formula that is not typeset",
};
const wide = [".jp-RenderedMarkdown", ".jp-InputArea-editor .cm-scroller", output];
const frame = () => new Promise((go) => requestAnimationFrame(go));
(async () => {
  for (const cell of document.querySelectorAll(".jp-Notebook .jp-Cell")) {
    cell.scrollIntoView();
    await frame();
    await frame();
    const all = (what) => [...cell.querySelectorAll(what)];
    const line = cell.innerText.replace(/\\s+/g, " ").trim().slice(0, 60);
    const say = (what) => found.push(`the cell "${line}" ${what}`);
    const raw = all(".jp-RenderedMarkdown :is(p, li)").some((node) =>
      !node.querySelector("code") && /\\$\\$|\\\\begin\\{/.test(node.textContent));
    if (raw) say(faults[red]);
    for (const what in faults) if (all(what).length) say(faults[what]);
    for (const what of wide)
      if (all(what).some((n) => n.scrollWidth > n.clientWidth + 1))
        say(`is too wide: ${what}`);
    if (/^\\[ ?\\]/.test(line)) say("did not run");
  }
  hide.remove();
  done(found);
})()"""


def look(driver, picture):
    """List what a reader would find ugly; store a picture of the first figure."""
    faults = driver.execute_async_script(_FAULTS)
    figure = "(document.querySelector('.jp-RenderedImage img') || document.body)"
    driver.execute_script(f"{figure}.scrollIntoView({{block: 'center'}})")
    time.sleep(0.5)
    picture.parent.mkdir(parents=True, exist_ok=True)
    driver.save_screenshot(str(picture))
    return faults + [f"the console says {text}" for text in complaints(driver)]


def scratch_copy(folder, target):
    """Copy the notebooks' folder, without outputs: what is there later is fresh."""
    hidden = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(folder, target, ignore=hidden)
    for path in notebooks.find(folder=target):
        notebook = notebooks.read(path)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, path)


def one(path, address, build):
    """Run one notebook in a browser of its own; say where its picture is."""
    from selenium.common.exceptions import WebDriverException

    name = notebooks.title(path)
    picture = build / f"{name.replace('/', '_')}.png"
    try:
        with chromium() as driver:
            run_all(driver, address, name)
            faults = look(driver, picture)
    except WebDriverException as error:
        raise notebooks.NotebookFailure(f"the browser failed: {error.msg}") from error
    if faults:
        raise notebooks.NotebookFailure(*faults)
    return str(picture)


def main(arguments=None):
    """Parse the command line and do what it says; return the exit status."""
    options = notebooks.parser(__doc__, build="build/browser").parse_args(arguments)
    if missing():
        raise SystemExit(missing())
    paths = notebooks.find(options.only)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        scratch_copy(notebooks.NOTEBOOKS, Path(scratch, "notebooks"))
        # The same place beside the notebooks as in the course.
        os.symlink(notebooks.ROOT / "data", f"{scratch}/data")
        with laboratory(f"{scratch}/notebooks", options.backend) as address:
            work = functools.partial(one, address=address, build=options.build)
            done = f"run in the browser; pictures in {options.build}"
            return notebooks.each(paths, options.backend, work, done)


if __name__ == "__main__":
    sys.exit(main())
