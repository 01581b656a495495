"""A page with models that have neither reconstruction nor codes beside others that have."""

from conftest import TINY, tiny

from twincode.report import load_results, summary_table, write_report
from twincode.report.metrics import MISSING
from twincode.train import fit


def test_what_an_encoder_alone_has_not_is_left_open(tmp_path, waves):
    for name in ("vqvae-augmented", "vicreg-vqvae", "vicreg", "raw-series"):
        config = tiny(name) if name == "raw-series" else tiny(name, **{**TINY, "epochs": 1})
        fit(config, waves, tmp_path / "runs" / name, "cpu")
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "VICReg-VQVAE γ=1" in page
    table = summary_table(load_results(tmp_path)).set_index("model")
    missing = table == MISSING
    assert list(missing.columns[missing.loc["VICReg"]]) == ["reconstruction", "perplexity"]
    assert not missing.loc["VICReg-VQVAE γ=1"].any()


def test_a_page_of_an_encoder_alone(tmp_path, waves):
    fit(tiny("moco", epochs=2), waves, tmp_path, "cpu")
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "MoCo" in page
    assert "Original and reconstruction" not in page
    assert "Latents in the plane" in page
