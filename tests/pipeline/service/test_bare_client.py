"""The client of docs/service.md reads a cache without onewarp, in fifteen lines."""

from pathlib import Path

import onewarp

PAGE = Path(onewarp.__path__[0]) / "docs" / "service.md"


def test_the_client_of_the_page_reads_keys_labels_and_images(cache, serve, capsys, monkeypatch):
    page = PAGE.read_text()
    program = page.partition("bare client: begin -->\n```python\n")[2].partition("```")[0]
    lines = [line for line in program.splitlines() if line.strip()]
    assert 5 < len(lines) <= 15
    assert "onewarp" not in program
    served = serve({"pets.cache": cache("jpeg")}, tokens=["a token of ours"])
    monkeypatch.setenv("TOKEN", "a token of ours")
    exec(program.replace("grpc://127.0.0.1:8815", served.address), {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 10
    assert printed[0] == "cat/0.png cat (32, 24)"
