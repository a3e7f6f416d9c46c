//! `GET /workspaces/:id/budget` (contract section 18.7; April 11).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lenient::or_default;

/// Answer of `GET /workspaces/:id/budget`: the limit of a workspace and its reported spend, in US cents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Budget {
    /// The most that the workspace may spend in a month; `None` without a limit. With a limit of 0 nobody can call the
    /// workspace.
    #[serde(default, deserialize_with = "or_default")]
    pub budget_limit: Option<i64>,
    /// The spend of this month, as reported in the agent's heartbeats.
    pub monthly_spend: i64,
    /// The limit minus the spend; `None` without a limit.
    #[serde(default, deserialize_with = "or_default")]
    pub budget_remaining: Option<i64>,
    /// The limit and the spend of each period: `hourly`, `daily`, `weekly` and `monthly`; empty on April's server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub periods: BTreeMap<String, BudgetPeriod>,
}

/// A period of a [`Budget`], in US cents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BudgetPeriod {
    /// The most that the workspace may spend in it; `None` without a limit.
    #[serde(default, deserialize_with = "or_default")]
    pub limit: Option<i64>,
    /// The spend in it.
    #[serde(default, deserialize_with = "or_default")]
    pub spend: i64,
    /// The limit minus the spend; `None` without a limit.
    #[serde(default, deserialize_with = "or_default")]
    pub remaining: Option<i64>,
}

impl Budget {
    /// The budget of a month, without periods: April's answer.
    pub fn of_a_month(limit: Option<i64>, spend: i64) -> Self {
        let BudgetPeriod { limit, spend, remaining } = BudgetPeriod::new(limit, spend);
        Self { budget_limit: limit, monthly_spend: spend, budget_remaining: remaining, periods: BTreeMap::new() }
    }

    /// Sets the periods.
    #[must_use]
    pub fn periods(mut self, periods: impl IntoIterator<Item = (impl Into<String>, BudgetPeriod)>) -> Self {
        self.periods = periods.into_iter().map(|(name, period)| (name.into(), period)).collect();
        self
    }
}

impl BudgetPeriod {
    /// A period with its limit, if there is one, and its spend.
    pub fn new(limit: Option<i64>, spend: i64) -> Self {
        Self { limit, spend, remaining: limit.map(|limit| limit.saturating_sub(spend)) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_follows_from_limit_and_spend() {
        let spent = Budget::of_a_month(Some(1000), 1200).periods([("daily", BudgetPeriod::new(None, 7))]);
        let written = json!({
            "budget_limit": 1000, "monthly_spend": 1200, "budget_remaining": -200,
            "periods": {"daily": {"limit": null, "spend": 7, "remaining": null}},
        });
        assert_eq!(serde_json::to_value(&spent).unwrap(), written);
        assert_eq!(serde_json::from_value::<Budget>(written).unwrap(), spent);
    }

    #[test]
    fn an_odd_field_hides_no_other_and_one_without_a_spend_is_no_budget() {
        let odd = json!({"budget_limit": "much", "monthly_spend": 7, "periods": [], "currency": "USD"});
        assert_eq!(serde_json::from_value::<Budget>(odd).unwrap(), Budget::of_a_month(None, 7));
        assert!(serde_json::from_value::<Budget>(json!({"status": "ok"})).is_err());
    }
}
