"""Costs: what a technology costs over the horizon, what is spent in which year, and the ledger in which every amount has its origin."""

from kiban.finance.price import Priced, price_technology
from kiban.finance.spending import arc_cost, first_years, spending

__all__ = ["Priced", "arc_cost", "first_years", "price_technology", "spending"]
