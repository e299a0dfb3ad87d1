"""What the report stage prints."""

from hypothesis import given
from hypothesis import strategies as st

from lib.report import aligned

WORDS = st.text("abc", min_size=1, max_size=20)


@given(st.integers(1, 12).flatmap(lambda width: st.lists(st.lists(WORDS, min_size=width, max_size=width), min_size=1, max_size=4)))
def test_no_line_is_too_long_and_every_word_is_printed(lines):
    text = aligned.aligned(lines)
    assert max(map(len, text)) <= aligned.WIDTH
    assert sorted(word for line in lines for word in line[1:]) == sorted(word for line in text for word in line.split()[1:])


def test_columns_that_do_not_fit_stand_in_a_block_below_with_the_names_again():
    text = aligned.aligned([["row", "x" * 60, "y" * 60], ["JR", "1", "2"]])
    assert [line.split() for line in text] == [["row", "x" * 60], ["JR", "1"], ["row", "y" * 60], ["JR", "2"]]
