"""Which runs are one model, and what it is called."""

import copy

import numpy as np
import pytest
import synthetic

from twincode.labels import flat, telling
from twincode.report.models import identity, models_of


def record(model, seed=0, epochs=20, **training):
    found = synthetic.result("x", model, "GunPoint", seed, epochs, np.random.default_rng(0))
    found["config"]["training"].update(training)
    return found


def labels(*records, axes=()):
    return [model.label for model in models_of(records, axes).values()]


def test_seed_and_recipe_do_not_make_another_model():
    first, second = record(synthetic.NAIVE), record(synthetic.NAIVE, seed=3)
    second["config"]["recipe"] = "another"
    assert identity(first) == identity(second)
    assert identity(first) != identity(record(synthetic.NAIVE, batch_size=3))


def test_a_title_is_enough_where_it_is_the_only_one():
    assert labels(*map(record, synthetic.FIVE)) == [
        *("VQ-VAE", "VQ-VAE, augmented", "BT-VQVAE", "Random encoder", "Raw series")
    ]


def test_models_of_one_title_are_told_apart_by_what_differs():
    assert labels(*map(record, synthetic.TWINS), record(synthetic.NAIVE)) == [
        *("VQ-VAE", "BT-VQVAE γ=0.5", "BT-VQVAE γ=1", "BT-VQVAE γ=2")
    ]
    sized = [synthetic.sized(synthetic.NAIVE, size) for size in (64, 16, 128)]
    assert labels(*map(record, sized)) == [f"VQ-VAE codebook_size={size}" for size in (16, 64, 128)]


def test_a_grid_of_two_axes_is_told_by_both_in_the_study_s_order():
    grid = [synthetic.sized(twin, size) for twin in synthetic.TWINS[:2] for size in (16, 64)]
    assert labels(*map(record, grid), axes=["codebook_size"])[0] == (
        "BT-VQVAE codebook_size=16 γ=0.5"
    )
    assert labels(*map(record, grid))[0] == "BT-VQVAE γ=0.5 codebook_size=16"
    assert len(set(labels(*map(record, grid)))) == 4


def test_no_twin_loss_is_a_weight_of_nothing():
    without = synthetic.Model("BT-VQVAE", "bt-vqvae")
    assert labels(record(without), record(synthetic.TWINS[1])) == ["BT-VQVAE γ=0", "BT-VQVAE γ=1"]


def test_another_part_is_told_by_its_name_and_labels_stay_apart():
    other = copy.deepcopy(record(synthetic.NAIVE))
    other["config"]["quantizer"] = {"name": "fsq", "fsq_levels": [8, 4]}
    assert labels(record(synthetic.NAIVE), other) == ["VQ-VAE quantizer=fsq", "VQ-VAE quantizer=vq"]
    longer = copy.deepcopy(other)
    longer["config"]["quantizer"]["fsq_levels"] = [8, 8]
    assert labels(other, longer) == ["VQ-VAE fsq_levels=8+4", "VQ-VAE fsq_levels=8+8"]


def test_parts_in_a_list_are_told_by_their_names_and_settings():
    config = record(synthetic.TWINS[0])["config"]
    found = flat(config)
    assert found["augmentations"] == ["flip"]
    assert found["flip_probability"] == 0.5
    assert found["quantizer"] == "vq"
    assert "seed" not in found
    assert "name" not in found


def test_settings_that_vary_together_are_told_by_one():
    assert telling([{"x": 1, "y": 1}, {"x": 2, "y": 2}]) == ["x"]


def test_controls_are_grey_and_colours_of_fitted_models_differ():
    found = models_of([*map(record, (*synthetic.FIVE, *synthetic.TWINS))]).values()
    fitted = [model.colour for model in found if model.fitted]
    assert len(set(fitted)) == len(fitted)
    for model in found:
        red, green, blue = (int(model.colour[place : place + 2], 16) for place in (1, 3, 5))
        grey = max(red, green, blue) - min(red, green, blue) < 20
        assert grey is (not model.fitted or model.method == "vqvae")
        assert (model.shape == "stroke") is (not model.fitted)


def test_closed_forms_are_fitted_models_with_a_shape_for_each_kind():
    forms = [
        synthetic.closed_form(title, name, bits)
        for title, name in (("Mixture", "mixture"), ("Components", "pca-pq"))
        for bits in (200, 45, 100)
    ]
    models = [synthetic.RAW, synthetic.RANDOM, *forms, synthetic.NAIVE, synthetic.CONTINUOUS]
    found = models_of(map(record, models)).values()
    assert [model.label for model in found] == [
        *("VQ-VAE", "VAE"),
        *(f"{title} bits={bits}" for title in ("Components", "Mixture") for bits in (45, 100, 200)),
        *("Random encoder", "Raw series"),
    ]
    assert [model.label for model in found if not model.fitted] == ["Random encoder", "Raw series"]
    assert [model.label for model in found if not model.coded] == ["VAE", "Raw series"]
    shapes = {model.kind("bits"): {m.shape for m in found if m.kind("bits") == model.kind("bits")}
              for model in found if model.fitted}  # fmt: skip
    assert len(set.union(*shapes.values())) == sum(map(len, shapes.values())) == 4
    assert len({model.colour for model in found}) == len(found)


@pytest.mark.parametrize("count", [1, 3, 30])
def test_any_number_of_titles_gets_colours(count):
    many = [synthetic.Model(f"M{number}", f"m{number}") for number in range(count)]
    records = [record(model, batch_size=number) for number, model in enumerate(many)]
    assert len(models_of(records)) == count
