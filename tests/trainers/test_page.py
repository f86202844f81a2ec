from matplotlib.figure import Figure

from onewarp.trainers.page import Page


def test_words_are_escaped_and_sections_closed(tmp_path):
    page = Page("<b>", "a & b").tiles([("<i>", "1")]).section("one", "<script>").table(["n"], [[1.5]]).section("two")
    text = page.write(tmp_path / "new" / "page.html").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "<b>1</b><span>&lt;i&gt;</span>" in text
    assert text.count("<section>") == text.count("</section>") == 2
    assert '<td class="number">1.5000</td>' in text
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["page.html"]


def test_a_figure_stands_inside_with_its_alternative():
    text = Page("t").section("s").figure(Figure(figsize=(1, 1)), 'a "b"').html()
    assert 'alt="a &quot;b&quot;" width="96" src="data:image/png;base64,iVBOR' in text
