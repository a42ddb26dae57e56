"""kiban 基盤: from one sentence of a local issue to a digital foundation that works, is paid for and is checked."""

__version__ = "0.1.0"
