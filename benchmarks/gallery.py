"""How smooth a long gallery is: scrolled through and jumped about in, in headless Chromium.

`python -m benchmarks.gallery [FACES]` writes a job of that many faces (100,000 unless told) into a fresh ledger, serves
it, and prints what a visitor meets. It exits with 1 where that is not smooth.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import CDPSession, Page

from core.stack import ports, seaweed
from tests.browser.conftest import browsing, serving
from tests.browser.long_jobs import long_job
from tests.conftest import settings_for
from tests.dashboard.conftest import make_place
from tests.ledgers import make_ledger
from tests.servers import start_seaweed

JUMPS = 30
SCROLL_SECONDS = 10
MOST_TILES = 240
MOST_SHIFT = 0.01
# Frames depend on whatever else the machine does; the share that the page's own thread works does not.
SLOWEST_FRAME_MS = 25.0
MOST_WORK = 0.5
SLOWEST_JUMP_MS = 1500.0

_WATCH = """
window.seen = { shift: 0, long: [] };
new PerformanceObserver(list => list.getEntries().forEach(one => { seen.shift += one.value }))
  .observe({ type: 'layout-shift', buffered: true });
new PerformanceObserver(list => list.getEntries().forEach(one => { seen.long.push(one.duration) }))
  .observe({ type: 'longtask', buffered: false });
"""
# As a wheel does it: so many pixels a second, in each frame its share.
_SCROLL = """
async ([seconds, speed]) => {
  const frames = [];
  const start = performance.now();
  let before = start;
  while (before - start < 1000 * seconds) {
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - before);
    scrollBy({ top: speed * (now - before) / 1000, behavior: 'instant' });
    before = now;
  }
  return frames.slice(1);
}
"""
# From the jump until every tile in view is a real one, and until its thumbnail is there as well.
_JUMP = """
async share => {
  const start = performance.now();
  scrollTo({ top: share * (document.documentElement.scrollHeight - innerHeight), behavior: 'instant' });
  const inView = () => [...document.querySelectorAll('#gallery > .tile')].filter(tile => {
    const box = tile.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  });
  const until = async there => {
    for (;;) {
      await new Promise(requestAnimationFrame);
      const tiles = inView();
      if (tiles.length && tiles.every(there)) return performance.now() - start;
      if (performance.now() - start > 20000) return Infinity;
    }
  };
  const tiles = await until(tile => !tile.matches('.tile-blank'));
  const pictures = await until(tile => [...tile.querySelectorAll('.tile-open img')].every(one => one.naturalWidth));
  return [tiles, pictures];
}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gallery", description=__doc__)
    parser.add_argument("faces", nargs="?", type=int, default=100_000)
    count = parser.parse_args(arguments).faces
    with tempfile.TemporaryDirectory(prefix="voicesketch-gallery-") as folder:
        store = start_seaweed(Path(folder) / "store")
        try:
            store = dataclasses.replace(store, bucket="gallery")
            url = f"sqlite+pysqlite:///{Path(folder) / 'ledger.sqlite3'}"
            settings = settings_for(url, "redis://127.0.0.1:1", store).model_copy(
                update={"public_url": f"http://127.0.0.1:{ports.choose(['dashboard'])['dashboard']}"}
            )
            make_ledger(url)
            place = make_place(settings)
            job_id = long_job(place, count)
            link = place.link()
            with serving(settings), browsing() as browser:
                if browser is None:
                    print("There is no Chromium on this machine.", file=sys.stderr)
                    return 2
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto(settings.public_url + link)
                page.get_by_role("main").get_by_role("button", name="Sign in").click()
                page.wait_for_url("**/jobs")
                is_smooth = measure(page, f"{settings.public_url}/jobs/{job_id}", count)
            place.database.dispose()
        finally:
            store.child.kill()
            seaweed.remove_sockets(store.ports)
    return 0 if is_smooth else 1


def measure(page: Page, address: str, count: int) -> bool:
    """Prints what was met; answers whether it is smooth."""
    started = time.perf_counter()
    page.goto(address)
    page.wait_for_load_state()
    loaded = 1000 * (time.perf_counter() - started)
    page.evaluate(_WATCH)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    spent = main_thread(session)
    slow, fast = (page.evaluate(_SCROLL, [SCROLL_SECONDS, speed]) for speed in (1_500, 30_000))
    share = (main_thread(session) - spent) / (2 * SCROLL_SECONDS)
    tasks = page.evaluate("seen.long")
    jumps = [page.evaluate(_JUMP, (number * 7 % JUMPS + 0.5) / JUMPS) for number in range(JUMPS)]
    tiles = [one for one, _ in jumps]
    pictures = [both for _, both in jumps]
    nodes = page.locator("#gallery > .tile").count()
    shift = page.evaluate("seen.shift")
    heap = page.evaluate("performance.memory ? performance.memory.usedJSHeapSize / 2 ** 20 : NaN")
    faces = page.evaluate(
        "performance.getEntriesByType('resource').filter(one => one.name.endsWith('face.png')).length"
    )
    print(f"faces                                   {count:,}")
    print(f"page loaded                             {loaded:.0f} ms")
    print(f"frames, 1,500 pixels a second           {told(slow)}")
    print(f"frames, 30,000 pixels a second          {told(fast)}")
    print(f"tasks over 50 ms while scrolling        {len(tasks)}, longest {max(tasks, default=0):.0f} ms")
    print(f"main thread at work while scrolling     {share:.0%}")
    print(f"jump to tiles                           {told(tiles)}")
    print(f"jump to tiles with their thumbnails     {told(pictures)}")
    print(f"tiles on the page                       {nodes}")
    print(f"layout shift                            {shift:.4f}")
    print(f"heap of scripts                         {heap:.0f} MiB")
    print(f"full faces fetched                      {faces}")
    return (
        statistics.median(slow) <= SLOWEST_FRAME_MS
        and share <= MOST_WORK
        and quantile(tiles, 0.95) <= SLOWEST_JUMP_MS
        and nodes <= MOST_TILES
        and shift <= MOST_SHIFT
        and faces == 0
    )


def main_thread(session: CDPSession) -> float:
    """Seconds that the page's main thread has worked: its own time, whatever else this machine does meanwhile."""
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])


def told(milliseconds: Sequence[float]) -> str:
    return (
        f"median {statistics.median(milliseconds):.1f} ms, p95 {quantile(milliseconds, 0.95):.1f} ms, "
        f"longest {max(milliseconds):.1f} ms"
    )


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    sys.exit(main())
