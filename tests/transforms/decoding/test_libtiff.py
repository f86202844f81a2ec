"""What libtiff says of a file is a refusal."""

import pytest
from PIL import features

from onewarp.errors import DecodeError
from onewarp.transforms.decoding.decode import decode_pixels


def test_libtiff_says_by_a_refusal_what_it_would_print(capfd, file_of, photo):
    if not features.check("libtiff"):
        pytest.skip("this Pillow was built without libtiff")
    whole = file_of(photo().convert("1"), "TIFF", compression="group4")
    damaged = whole[:20] + bytes(40) + whole[60:]
    with pytest.raises(DecodeError, match=r"is a damaged TIFF: \w+|cannot be decoded whole: Fax4Decode"):
        decode_pixels(damaged)
    assert capfd.readouterr() == ("", "")
