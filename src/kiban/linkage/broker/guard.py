"""stub"""
class Guard:
    @classmethod
    def of(cls, **k): return cls()
