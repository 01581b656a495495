"""Keeps what the runs of a study came to in a folder that is small enough to commit.

    python -m benchmarks.keep STUDY KEPT

Each result goes there as one line, its history only as far as it tells of series held out of train,
and beside it how samples of its priors were judged; models and logs stay behind. ``twincode study
run FILE --out KEPT`` goes on from there: a run whose result is there is not run again.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from twincode.files import make_folder, read_json, write_text
from twincode.study.events import STUDY
from twincode.study.runs import RUNS
from twincode.study.second_stage import JUDGED_FOLDER
from twincode.train.result import RESULT


def thinned(result: dict[str, Any]) -> dict[str, Any]:
    """A result with the errors of held-out series, and nothing else, for its history, if any."""
    if "history" not in result:
        return result
    history = [
        {"epoch": entry["epoch"], "losses": {}, "held_out": entry["held_out"]}
        for entry in result["history"]
        if "held_out" in entry
    ]
    return {**result, "history": history}


def keep(study: Path, kept: Path) -> int:
    """Put the finished runs of a study beside those that are kept; how many there are now.

    One whose priors are still to be judged is not finished: nobody could go on without its model.
    """
    stages = read_json(study / STUDY, "description of a study").get("second_stages", {})
    unjudged = {
        name
        for name, stage in stages.items()
        if not (study / RUNS / name / JUDGED_FOLDER / stage / RESULT).exists()
    }
    for what in (RESULT, f"{JUDGED_FOLDER}/*/{RESULT}"):
        for path in sorted(study.glob(f"{RUNS}/*/{what}")):
            if path.relative_to(study / RUNS).parts[0] in unjudged:
                continue
            place = make_folder(kept / path.parent.relative_to(study)) / RESULT
            write_text(place, json.dumps(thinned(read_json(path, "result of a run"))) + "\n")
    if not (kept / STUDY).exists():
        shutil.copy(study / STUDY, kept / STUDY)
    return len(list(kept.glob(f"{RUNS}/*/{RESULT}")))


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("kept", type=Path)
    asked = parser.parse_args()
    print(keep(asked.study, asked.kept), "runs")


if __name__ == "__main__":
    main()
