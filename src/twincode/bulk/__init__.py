"""Very many series: folders of Parquet files to codes and back, in bounded memory."""

from twincode.bulk.decode import Decode
from twincode.bulk.encode import Encode
from twincode.bulk.folder import convert_folder

__all__ = ["Decode", "Encode", "convert_folder"]
