"""What type checkers and linters say about generated classes."""

import subprocess
import sys
from pathlib import Path

import pytest

import snowplow_tracker
from snowplow_tracker.iglu import Resolver
from snowplow_tracker.iglu.generation import generate
from support.iglu import SCHEMAS

ROOT = Path(snowplow_tracker.__file__).parent.parent

USE = """\
from snowplow_tracker import PageView, Tracker
from shop_events import AcmeShopProduct, CategoryNode, OrderPlaced, OrderPlacedItem, Payment

def use(tracker: Tracker) -> None:
    item = OrderPlacedItem(sku="a", quantity=1)
    order = OrderPlaced(order_id="A-1", total=2, currency="EUR", items=[item], customer_email=None)
    tracker.track(order)
    tracker.track(PageView("https://a.example", context=[AcmeShopProduct(sku="a"), order]))
    node = CategoryNode(name="a", children=[CategoryNode(name="b")])
"""
WRONG = [
    'OrderPlacedItem(sku="a", quantity="1")',
    'OrderPlacedItem(sku="a")',
    'OrderPlacedItem("a", 1)',
    'OrderPlacedItem(sku="a", quantity=1, colour="red")',
    'OrderPlaced(order_id="A", total=2, currency="CHF", items=[item], customer_email=None)',
    'OrderPlaced(order_id="A", total=2, currency="EUR", items=[node], customer_email=None)',
    'tracker.track(AcmeShopProduct(sku="a"))',
    'PageView("https://a.example", context=[Payment(kind="card")])',
    "order.total.upper()",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the generated module."""
    folder = tmp_path_factory.mktemp("typed")
    resolver = Resolver(SCHEMAS)
    generated = generate(
        resolver, resolver.keys(), events=["payment"], entities=["com.acme.shop/product"]
    )
    (folder / "shop_events.py").write_bytes(generated.text.encode())
    return folder


def output_of(folder, *command):
    result = subprocess.run(
        [sys.executable, "-m", *command],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=170,
    )
    return result.returncode, result.stdout + result.stderr


@pytest.mark.long
def test_mypy_takes_the_module_and_finds_wrong_use(folder):
    """In strict mode the module and its right use are clean, and each wrong use is an error in its own line."""
    pytest.importorskip("mypy")
    (folder / "use.py").write_text(USE + "".join(f"    {line}\n" for line in WRONG))
    (folder / "mypy.ini").write_text(
        f"[mypy]\nmypy_path = {ROOT}\n[mypy-snowplow_tracker.*]\nfollow_imports = silent\n"
    )
    status, output = output_of(folder, "mypy", "--strict", "shop_events.py", "use.py")
    assert status == 1
    errors = sorted(
        {line.split(": error:")[0] for line in output.splitlines() if ": error:" in line}
    )
    first = USE.count("\n") + 1
    assert errors == [f"use.py:{number}" for number in range(first, first + len(WRONG))], output


def test_ruff_takes_the_module(folder):
    """The linter and the formatter have nothing to say."""
    ruff = pytest.importorskip("ruff")
    binary = ruff.find_ruff_bin() if hasattr(ruff, "find_ruff_bin") else "ruff"
    for command in (["check", "--isolated"], ["format", "--isolated", "--check"]):
        result = subprocess.run(
            [binary, *command, "--no-cache", "shop_events.py"],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
        )
        assert result.returncode == 0, result.stdout
