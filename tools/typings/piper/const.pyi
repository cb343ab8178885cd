PAD: str
BOS: str
EOS: str
