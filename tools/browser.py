"""Run the course's notebooks in JupyterLab, in a real browser.

    python -m tools.browser run --only 00 --backend jax

`make browser` calls it. Debian's Chromium, without a window, does what a reader does:
opens a notebook in the course's own JupyterLab, chooses Run All Cells, waits, saves.
What counts is the saved file: every code cell ran, none raised, and every claim of the
stored notebook is there again and holds. It runs on a copy; nothing here is changed.
"""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat

from tools import notebooks

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"

# Chromium starts for one page of this machine: no profile, no updates, no accounts.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
)

# Seconds. A notebook takes a minute or two; a busy machine, several times as long.
START_TIMEOUT = 180
NOTEBOOK_TIMEOUT = 1200
# Between two cells the kernel is idle for moments; this long, it has nothing to do.
REST = 2.0


class BrowserFailure(Exception):
    """What a reader could not do in the browser; the text says what and where."""


# --- Chromium -------------------------------------------------------------------


def missing():
    """Say which program is missing and how to install it; None if all are there."""
    if _browser() is None:
        wanted = "Chromium"
    elif shutil.which(DRIVER) is None:
        wanted = f"Chromium's driver, {DRIVER},"
    else:
        return None
    return f"{wanted} is missing; on Debian: apt install chromium chromium-driver"


def _browser():
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextlib.contextmanager
def chromium(width=1280, height=900):
    """Yield a WebDriver on a Chromium without window and without history.

    Its console is read with `driver.get_log("browser")`.

    Args:
        width, height: size of the page in pixels.
    """
    from selenium import webdriver

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = _browser()
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.add_argument(f"--window-size={width},{height}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # With its path given, selenium does not look for a driver on the network.
        service = webdriver.ChromeService(executable_path=shutil.which(DRIVER))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            driver.set_page_load_timeout(START_TIMEOUT)
            driver.set_script_timeout(START_TIMEOUT)
            # The window has borders; the page is to have the size that was asked for.
            size = "return [window.innerWidth, window.innerHeight]"
            inner = driver.execute_script(size)
            driver.set_window_size(2 * width - inner[0], 2 * height - inner[1])
            yield driver
        finally:
            driver.quit()


# --- JupyterLab -----------------------------------------------------------------


class Lab:
    """A running JupyterLab: its address, and what its server says about kernels."""

    def __init__(self, folder, port, token):
        """Keep where it runs; `folder` is what it shows."""
        self.folder, self.token = folder, token
        self.address = f"http://127.0.0.1:{port}"

    def page(self, name):
        """The address of a notebook, opened in a workspace that nobody has used."""
        return f"{self.address}/lab/tree/{name}?reset&token={self.token}"

    def ask(self, path, method="GET"):
        """Ask the server; returns the JSON of its answer."""
        request = urllib.request.Request(
            f"{self.address}/api/{path}",
            method=method,
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def kernel_state(self):
        """`idle`, `busy`, `starting`, ...; `none` without a kernel."""
        sessions = self.ask("sessions")
        return sessions[0]["kernel"]["execution_state"] if sessions else "none"

    def end_kernels(self):
        """Shut every kernel down."""
        for session in self.ask("sessions"):
            self.ask(f"sessions/{session['id']}", "DELETE")


# A news question, an update notice or an unfinished tour would lie over the notebook.
_SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
}


@contextlib.contextmanager
def laboratory(folder, backend, log):
    """Yield the `Lab` of this Python on `folder`, on a free port of this machine.

    No settings, extensions or kernels of the person who runs it play a part.

    Args:
        folder: the notebooks it shows, and where its kernels run.
        backend: of Keras, for all kernels.
        log: file that receives what the server prints.

    Raises:
        BrowserFailure: if it does not answer in time.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
        own = Path(own)
        for name, values in _SETTINGS.items():
            target = own / "settings" / name
            target.parent.mkdir(parents=True)
            target.write_text(json.dumps(values))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        lab = Lab(Path(folder), port, secrets.token_hex(16))
        command = [sys.executable, "-m", "jupyterlab", "--no-browser"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--allow-root")
        values = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": port,
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": folder,
            "ServerApp.terminals_enabled": False,
            "IdentityProvider.token": lab.token,
            "LabApp.user_settings_dir": own / "settings",
            "LabApp.workspaces_dir": own / "workspaces",
        }
        command += [f"--{name}={value}" for name, value in values.items()]
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "JUPYTER_PREFER_ENV_PATH": "1",
            "JUPYTER_CONFIG_DIR": str(own / "config"),
            "JUPYTER_DATA_DIR": str(own / "data"),
            "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
            "IPYTHONDIR": str(own / "ipython"),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "JUPYTER_TOKEN"):
            environment.pop(name, None)
        log = Path(log)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as output:
            server = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
            try:
                _wait_for(lab, server, log)
                yield lab
                with contextlib.suppress(OSError):
                    lab.end_kernels()
            finally:
                server.terminate()
                try:
                    server.wait(20)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()


def _wait_for(lab, server, log):
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        if server.poll() is not None:
            lines = log.read_text().strip().splitlines()[-5:]
            raise BrowserFailure("\n    ".join(["JupyterLab did not start:", *lines]))
        with contextlib.suppress(OSError):
            lab.ask("status")
            return
        time.sleep(0.3)
    raise BrowserFailure(f"JupyterLab did not answer in {START_TIMEOUT} s; see {log}")


# --- what a reader does ---------------------------------------------------------

_DIALOG = """
const dialog = document.querySelector(".jp-Dialog");
return dialog ? dialog.innerText.replace(/\\s+/g, " ").trim() : null"""
_STATUS = """
const node = document.querySelector(".jp-Notebook-ExecutionIndicator");
return node ? node.dataset.status : "none" """


def open_notebook(driver, lab, name):
    """Open a notebook and wait until its kernel is ready.

    Raises:
        BrowserFailure: if it is not ready in time.
    """
    driver.get(lab.page(name))
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        _answer_dialog(driver)
        cells = "return document.querySelectorAll('.jp-Notebook .jp-Cell').length"
        ready = driver.execute_script(cells) and lab.kernel_state() == "idle"
        if ready and driver.execute_script(_STATUS) == "idle":
            return
        time.sleep(0.3)
    raise BrowserFailure(
        f"JupyterLab did not show the notebook with a kernel in {START_TIMEOUT} s"
    )


def _answer_dialog(driver):
    """Accept what a dialog proposes, unless it tells that the kernel has died."""
    text = driver.execute_script(_DIALOG)
    if text is None:
        return
    if "died" in text or "Kernel Restarting" in text:
        raise BrowserFailure("the kernel died (out of memory?)")
    driver.execute_script(
        "const button = document.querySelector('.jp-Dialog .jp-mod-accept');"
        "if (button) button.click();"
    )


def choose(driver, menu, command):
    """Choose an item of a menu with the mouse, such as Run, `runmenu:run-all`."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.common.by import By

    label = f"//*[contains(@class, 'lm-MenuBar-itemLabel')][text()='{menu}']"
    item = f".lm-Menu-item[data-command='{command}']"
    problem = None
    for _ in range(20):
        try:
            driver.find_element(By.XPATH, label).click()
            time.sleep(0.2)
            driver.find_element(By.CSS_SELECTOR, item).click()
            return
        except WebDriverException as error:  # not drawn yet, or under a dialog
            problem = error.msg
            _answer_dialog(driver)
            time.sleep(0.5)
    raise BrowserFailure(f"the menu {menu} cannot be used: {problem}")


def run_all(driver, lab, path, timeout=NOTEBOOK_TIMEOUT):
    """Choose Run All Cells, wait until the kernel rests, save.

    Args:
        path: of the notebook; its saved copy is read to name a cell.
        timeout: in seconds.

    Returns:
        The saved notebook.

    Raises:
        BrowserFailure: naming the cell, if the kernel dies or time runs out.
    """
    end = time.monotonic() + timeout
    started = "return /\\[[*\\d]/.test([...document.querySelectorAll("
    started += "'.jp-Notebook .jp-InputPrompt')].map(p => p.innerText).join(' '))"
    for _ in range(3):  # the first click may come before the menu is at work
        choose(driver, "Run", "runmenu:run-all")
        patience = time.monotonic() + 10
        while time.monotonic() < patience and not driver.execute_script(started):
            time.sleep(0.2)
        if driver.execute_script(started):
            break
    else:
        raise BrowserFailure("Run All Cells started nothing")
    resting_since = None
    while True:
        try:
            _answer_dialog(driver)
        except BrowserFailure as failure:
            raise BrowserFailure(f"{_unfinished(driver, path)}: {failure}") from None
        now = time.monotonic()
        busy = lab.kernel_state() != "idle"
        busy = busy or driver.execute_script(_STATUS) != "idle"
        resting_since = None if busy else resting_since or now
        if resting_since and now - resting_since > REST:
            return save(driver, path)
        if now > end:
            place = _unfinished(driver, path)
            raise BrowserFailure(f"{place} was not done after {timeout} s")
        time.sleep(0.3)


def save(driver, path, timeout=60):
    """Choose Save and return the file's notebook."""
    before = path.stat().st_mtime_ns
    choose(driver, "File", "docmanager:save")
    end = time.monotonic() + timeout
    while path.stat().st_mtime_ns == before:
        if time.monotonic() > end:
            raise BrowserFailure(f"JupyterLab did not save in {timeout} s")
        time.sleep(0.2)
    while True:  # the file may be half written
        try:
            return nbformat.read(path, as_version=4)
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _unfinished(driver, path):
    """Name the first code cell whose prompt still has a star, or none."""
    number = driver.execute_script(
        "return [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')]"
        ".findIndex(c => !/\\[\\d+\\]/.test("
        "c.querySelector('.jp-InputPrompt')?.innerText || '')) + 1"
    )
    code = _code_cells(nbformat.read(path, as_version=4))
    return _place(code, number) if 0 < number <= len(code) else "the kernel"


# --- judging the saved file -----------------------------------------------------


def judge(saved, stored):
    """List what is wrong with a notebook that a reader has run and saved.

    Args:
        saved: the notebook as JupyterLab saved it.
        stored: the same notebook as the course has it, with its claims.
    """
    code = _code_cells(saved)
    problems = []
    for number, cell in enumerate(code, start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                text = notebooks.ANSI.sub("", f"{output.ename}: {output.evalue}")
                return [f"{_place(code, number)} raised {text.strip()}"]
    for number, cell in enumerate(code, start=1):
        count = cell.get("execution_count")
        if count is None:
            problems.append(f"{_place(code, number)} did not run")
        elif count != number:
            problems.append(f"{_place(code, number)} ran as number {count}")
    if problems:
        return problems
    if len(code) != len(_code_cells(stored)):
        problems.append(f"it has {len(code)} code cells, not those that are stored")
    made = notebooks.claims_in(saved)
    for number, claim in made:
        if claim["mark"] != "✔":
            problems.append(f"{_place(code, number)} claims in vain: {claim[0]}")
    left = [_claim(number, match) for number, match in made]
    for number, match in notebooks.claims_in(stored):
        if _claim(number, match) in left:
            left.remove(_claim(number, match))
        else:
            place = _place(code, number) if number <= len(code) else "the end"
            problems.append(
                f"{place} lacks the claim: {match['sentence']} "
                f"(required: {match['required']})"
            )
    return problems


def _claim(number, match):
    return number, match["sentence"], match["required"]


def _code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _place(code, number):
    lines = code[number - 1].source.strip().splitlines() or [""]
    return f"code cell {number} ({lines[0].strip()})"


# --- pictures -------------------------------------------------------------------

# What a reader would find ugly and the file does not show. JupyterLab draws a cell when
# it comes into view, so each is brought there and given two frames.
_FAULTS = """
const done = arguments[0], found = [];
// The copy of a formula for screen readers is not seen, however wide it is.
const hide = document.head.appendChild(document.createElement("style"));
hide.textContent = "mjx-assistive-mml { display: none !important }";
const wide = (node) => node.scrollWidth > node.clientWidth + 1;
const kinds = {
  ".jp-RenderedMarkdown": "prose or a formula is too wide",
  ".jp-InputArea-editor .cm-scroller": "a line of code is too wide",
  ".jp-OutputArea-output": "an output is too wide",
};
const frame = () => new Promise((go) => requestAnimationFrame(go));
(async () => {
  for (const cell of document.querySelectorAll(".jp-Notebook .jp-Cell")) {
    cell.scrollIntoView();
    await frame();
    await frame();
    const line = cell.innerText.replace(/\\s+/g, " ").trim().slice(0, 60);
    const raw = [...cell.querySelectorAll(".jp-RenderedMarkdown :is(p, li)")]
      .some((node) => !node.querySelector("code")
        && /\\$\\$|\\\\begin\\{/.test(node.textContent));
    const red = "mjx-merror, [data-mjx-error], mjx-container [style*='color: red']";
    if (raw || cell.querySelector(red))
      found.push("a formula is not typeset: " + line);
    for (const kind in kinds)
      if ([...cell.querySelectorAll(kind)].some(wide))
        found.push(kinds[kind] + ": " + line);
  }
  hide.remove();
  done(found);
})()"""

_PLACES = {
    "top": "return document.querySelector('.jp-Notebook .jp-Cell')",
    "figure": "return document.querySelector('.jp-Notebook .jp-RenderedImage img')",
    "summary": "return [...document.querySelectorAll('.jp-Notebook h2')]"
    ".find(h => h.textContent.startsWith('Summary'))",
}


def photograph(driver, build, name, pages=False):
    """Store pictures of top, first figure and summary; of all pages if asked.

    Returns:
        What is ugly: formulas that are not typeset, lines that are cut off.
    """
    build.mkdir(parents=True, exist_ok=True)
    stem = name.replace("/", "_")
    driver.execute_script("document.activeElement.blur()")
    faults = driver.execute_async_script(_FAULTS)
    for place, find in _PLACES.items():
        node = driver.execute_script(find)
        if node is None:
            continue
        block = "center" if place == "figure" else "start"
        for _ in range(3):  # what comes into view is drawn, and moves the rest
            driver.execute_script(
                "arguments[0].scrollIntoView({block: arguments[1]})", node, block
            )
            time.sleep(0.4)
        driver.save_screenshot(str(build / f"{stem}_{place}.png"))
    if pages:
        _photograph_pages(driver, build, stem)
    return faults


def _photograph_pages(driver, build, stem):
    view = "document.querySelector('.jp-Notebook .jp-WindowedPanel-outer')"
    driver.execute_script(f"{view}.scrollTop = 0")
    for page in range(1, 200):
        time.sleep(0.4)
        driver.save_screenshot(str(build / f"{stem}_page_{page:02d}.png"))
        at_end = f"{view}.scrollTop + {view}.clientHeight >= {view}.scrollHeight - 2"
        if driver.execute_script(f"return {at_end}"):
            return
        driver.execute_script(f"{view}.scrollTop += {view}.clientHeight - 60")


# --- the verb -------------------------------------------------------------------


def scratch_copy(folder, target):
    """Copy the notebooks' folder, without outputs: what is there later is fresh."""
    hidden = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(folder, target, ignore=hidden)
    for path in notebooks.find(folder=target):
        notebook = nbformat.read(path, as_version=4)
        for cell in _code_cells(notebook):
            cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, path)


def one(lab, name, stored, build, timeout=NOTEBOOK_TIMEOUT, pages=False):
    """Run one notebook in a browser of its own.

    Args:
        name: `00_start_here`, or `solutions/00_start_here`.
        stored: the notebook as the course has it.

    Returns:
        What is wrong, and what is only ugly: two lists of sentences.
    """
    from selenium.common.exceptions import WebDriverException

    path = lab.folder / f"{name}.ipynb"
    try:
        with chromium() as driver:
            try:
                open_notebook(driver, lab, f"{name}.ipynb")
                saved = run_all(driver, lab, path, timeout)
                faults = photograph(driver, build, name, pages)
            except BrowserFailure:
                build.mkdir(parents=True, exist_ok=True)
                stem = name.replace("/", "_")
                driver.save_screenshot(str(build / f"{stem}_failed.png"))
                raise
    except BrowserFailure as failure:
        return [str(failure)], []
    except WebDriverException as error:
        return [f"the browser failed: {(error.msg or '').splitlines()[0]}"], []
    finally:
        with contextlib.suppress(OSError):
            lab.end_kernels()
    code = _code_cells(saved)
    for number, cell in enumerate(code, start=1):
        if any(output.get("name") == "stderr" for output in cell.outputs):
            faults.append(f"{_place(code, number)} shows a red box (stderr)")
    return judge(saved, stored), faults


def run(paths, backend, build, timeout=NOTEBOOK_TIMEOUT, pages=False):
    """Run notebooks in the browser, report each in one line; return the exit status."""
    problem = missing()
    if problem:
        print(problem)
        return 1
    folder = notebooks.NOTEBOOKS
    failed = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        scratch = Path(scratch)
        stored = {path: notebooks.read(path) for path in paths}
        scratch_copy(folder, scratch / "notebooks")
        # The same place beside the notebooks as in the course.
        os.symlink(folder.parent / "data", scratch / "data")
        log = build / "jupyterlab.log"
        try:
            with laboratory(scratch / "notebooks", backend, log) as lab:
                for path in paths:
                    name = notebooks.title(path)
                    print(f"{name} ({backend})".ljust(56), end=" ", flush=True)
                    start = time.monotonic()
                    wrong, ugly = one(lab, name, stored[path], build, timeout, pages)
                    seconds = f"{time.monotonic() - start:6.0f} s"
                    if wrong:
                        failed.append(name)
                        print("FAILED".ljust(18), seconds, flush=True)
                    else:
                        count = len(notebooks.claims_in(stored[path]))
                        print(f"{count:3d} claims hold".ljust(18), seconds, flush=True)
                    for line in wrong:
                        print(f"    {line}", flush=True)
                    for line in ugly:
                        print(f"    to look at: {line}", flush=True)
        except BrowserFailure as failure:
            print(failure)
            return 1
    if failed:
        print(f"\n{len(failed)} of {len(paths)} failed: {', '.join(failed)}")
    else:
        print(f"\n{len(paths)} notebooks run in the browser; pictures in {build}")
    return 1 if failed else 0


def main(arguments=None):
    """Parse the command line and do what it says; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Run the course's notebooks in JupyterLab, in a real browser."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    command = verbs.add_parser("run", help="open, run all cells, save, judge")
    command.add_argument(
        "--only",
        type=lambda text: text.replace(",", " ").split(),
        default=[],
        metavar="NAMES",
        help="starts of names, such as '01' or 'solutions/01'; all without it",
    )
    command.add_argument(
        "--backend",
        choices=notebooks.BACKENDS,
        default=os.environ.get("KERAS_BACKEND") or notebooks.REFERENCE_BACKEND,
    )
    command.add_argument("--build", type=Path, default=Path("build") / "browser")
    command.add_argument("--timeout", type=int, default=NOTEBOOK_TIMEOUT)
    command.add_argument("--pages", action="store_true", help="a picture of every page")
    options = parser.parse_args(arguments)
    paths = notebooks.find(options.only)
    return run(paths, options.backend, options.build, options.timeout, options.pages)


if __name__ == "__main__":
    sys.exit(main())
