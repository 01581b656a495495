"""The enhanced sampling scheme: the critic, where decoding turns, and what is drawn again."""

import pytest
import torch
from toys import TWO, generator, labels, made, tokens_of

from twincode.errors import TwincodeError
from twincode.priors import IterativeSampling
from twincode.priors.critic import distance_of, enhanced_steps, log_confidence, turning_steps
from twincode.priors.masks import left_hidden, lowest

VECTORS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])


def fixed(tokens, likeliest):
    """Logits that say ``likeliest`` (n,) whatever is known."""
    logits = torch.nn.functional.one_hot(likeliest, 3) * 9.0
    return logits.expand(*tokens.shape, 3)


def test_confidence_is_a_softmax_of_distances_between_codes():
    tokens, likeliest = torch.tensor([[0, 1, 2, 2]]), torch.tensor([0, 0, 2, 1])
    seen = []

    def logits(tokens, hidden):
        seen.append(hidden[0].tolist())
        return fixed(tokens, likeliest)

    distance = distance_of("code", VECTORS, torch.zeros(4, dtype=torch.long))
    known = torch.zeros(1, 4).bool()
    found = log_confidence(tokens, known, logits, distance)
    expected = (-torch.tensor([0.0, 1.0, 0.0, 10.0])).log_softmax(0)
    assert torch.allclose(found[0], expected)
    assert seen == torch.eye(4).bool().tolist()  # one pass a place, which is hidden in it
    known[0, 1] = True
    found = log_confidence(tokens, known, logits, distance)
    assert found[0, 1] == torch.inf
    assert found.exp()[~known].sum() == pytest.approx(1)


def test_without_vectors_the_critic_takes_probabilities():
    logits = torch.randn(2, 3, 4, generator=generator())
    tokens = torch.tensor([[0, 1, 3], [2, 2, 0]])
    with pytest.raises(TwincodeError, match="use ess_distance log_probability"):
        distance_of("code", None, torch.zeros(3))
    found = distance_of("log_probability", None, torch.zeros(3))(logits, tokens)
    expected = -logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    assert torch.allclose(found, expected)


def test_codes_of_later_codebooks_have_their_own_vectors():
    distance = distance_of("code", torch.arange(5.0)[:, None], torch.tensor([0, 2]))
    logits = torch.tensor([[[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]]])  # codes 0, and 2 of the second
    assert distance(logits, torch.tensor([[1, 0]])).tolist() == [[1.0, 4.0]]


def by_hand(errors, S):
    """t* of errors e_t by t, as the definition has it."""
    window, ratios = max(1, round(0.3 * S)), []
    for t in range(S - 2, 0, -1):
        ratios.append(errors[t] / (errors[t + 1] + 1e-5))
        if len(ratios) >= window and sum(ratios[-window:]) / window > 1:
            return t
    return 1


@pytest.mark.parametrize("seed", range(6))
def test_decoding_turns_where_ratios_of_errors_say(seed):
    """Each series by itself, from errors of the tokens that a step would have kept."""
    B, n, S = 4, 30, 10
    noise = generator(seed)
    confidence = torch.randn(B, n, generator=noise)
    missed = torch.rand(B, n, generator=noise) ** 3
    left = left_hidden(torch.full((B,), n), S)

    def distance(_logits, _tokens):
        return missed

    def logits(tokens, hidden):
        assert (hidden.sum(1) < n).all()
        return torch.zeros(*tokens.shape, 2)

    found = turning_steps(torch.zeros(B, n), confidence, left, logits, distance)
    for row in range(B):
        order, counts = confidence[row].argsort(), left[:, row].tolist()
        errors = {
            t: missed[row, order[counts[t + 1] : counts[t]]].mean().item() for t in range(1, S)
        }
        assert found[row] == by_hand(errors, S)
    assert torch.equal(
        turning_steps(torch.zeros(1, n), confidence[:1], left[:, :1], logits,
                      lambda *_: missed[:1]), found[:1],
    )  # fmt: skip


def test_as_many_are_hidden_as_in_plain_decoding_and_none_at_the_end():
    left = left_hidden(torch.tensor([10, 3, 0, 1]), 5)
    assert left[0].tolist() == [10, 3, 0, 1]
    assert left[:, 0].tolist() == [10, 9, 8, 5, 3, 0]
    assert left[:, 1].tolist() == [3, 2, 1, 0, 0, 0]
    assert left[-1].tolist() == [0] * 4


@pytest.mark.parametrize("redraws", [True, False])
def test_what_is_known_stays_and_what_is_doubtful_is_drawn_again(redraws):
    """Doubtful is what is far from what all others say of it."""
    likeliest, S = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]), 5
    plain = torch.tensor([[0, 1, 2, 0, 0, 2, 0, 0]])  # the fifth and the last are doubtful
    known = torch.zeros(1, 8).bool()
    known[0, 7] = True
    how = IterativeSampling(
        decoding_steps=S, choice_temperature=0.0, sampling_scheme="ess", ess_redraws_known=redraws
    )
    distance = distance_of("code", VECTORS, torch.zeros(8, dtype=torch.long))
    steps = enhanced_steps(
        plain, [(plain, torch.zeros(1, 8).bool())], known, lambda t, _: fixed(t, likeliest),
        distance, how, generator(),
    )  # fmt: skip
    (first, _), *_, (last, hidden) = steps
    assert torch.equal(first, plain)
    assert not hidden.any()
    assert last[0].tolist() == [0, 1, 2, 0, 1, 2, 0, 0]


@pytest.mark.parametrize("distance", ["code", "log_probability"])
def test_a_series_alone_is_drawn_as_among_others(distance):
    """Each has a t* of its own, gaps of other sizes included."""
    found, tokens = made("masked", TWO), tokens_of(TWO, 5)
    found.vectors = torch.randn(9, 3, generator=generator(2))
    known = torch.ones_like(tokens).bool()
    for row, gap in enumerate((18, 9, 2, 1, 0)):
        known[row, :gap] = False
    y = labels(5)
    how = IterativeSampling(decoding_steps=4, sampling_scheme="ess", ess_distance=distance)
    whole = found.fill(tokens, known, y, how, 0)
    assert torch.equal(whole[known], tokens[known])
    assert (whole < TWO.places().size).all()
    for row in (0, 2):
        alone = found.fill(tokens[row : row + 1], known[row : row + 1], y[row : row + 1], how, 0)
        if row == 0:
            assert torch.equal(alone, whole[:1])
    first = [0, 2, 1, 4, 3]
    again = found.fill(tokens[first], known[first], y[first], how, 0)
    assert torch.equal(again[:1], whole[:1])
    plain = found.fill(tokens, known, y, how.replace(sampling_scheme="plain"), 0)
    assert not torch.equal(plain, whole)
    assert torch.equal(found.fill(tokens, known, y, how, 0), whole)


def test_the_scheme_costs_no_more_passes_than_it_says(monkeypatch):
    found, S, passes = made("masked", TWO), 6, []
    found.vectors = torch.randn(9, 3, generator=generator(2))
    forward = found.network.forward

    def count(content, *rest, **more):
        passes.append(len(content))
        return forward(content, *rest, **more)

    monkeypatch.setattr(found.network, "forward", count)
    turns = []

    def turning(*arguments):
        turns.append(turning_steps(*arguments))
        return turns[-1]

    monkeypatch.setattr("twincode.priors.critic.turning_steps", turning)
    found.sample(labels(1), IterativeSampling(decoding_steps=S, sampling_scheme="ess"), 0)
    allowed = sum(n * (1 + S - int(turn)) + 2 * S for n, turn in zip(TWO.sizes, turns, strict=True))
    assert sum(passes) <= allowed


def test_the_least_sure_are_hidden():
    assert lowest(torch.tensor([[3.0, 1.0, torch.inf, 2.0]]), torch.tensor([2])).tolist() == [
        [False, True, False, True]
    ]
