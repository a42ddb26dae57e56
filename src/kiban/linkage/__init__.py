"""Data linkage データ連携: the broker, who may see what, later connectors and consent. A process of its own with its own database."""
