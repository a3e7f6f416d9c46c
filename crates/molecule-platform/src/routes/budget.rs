//! `GET /workspaces/:id/budget` (contract section 18.7; April 11).

use molecule_proto::{Budget, BudgetPeriod, Dialect};

use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};

impl Platform {
    /// A limit applies to a month, and spend is reported for a month, so the shorter periods show neither: no recorded server
    /// had either.
    pub(crate) fn budget(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        let dialect = self.config.dialect;
        let row = self.row(id).ok_or(Refusal::not_found("workspace not found"))?;
        let (limit, spend) = (row.budget_limit, row.reported.monthly_spend);
        let budget = Budget::of_a_month(limit, spend);
        let none = BudgetPeriod::new(None, 0);
        Ok(reply::ok(&match dialect {
            Dialect::April => budget,
            Dialect::Current => {
                let month = BudgetPeriod::new(limit, spend);
                budget.periods([("hourly", none), ("daily", none), ("weekly", none), ("monthly", month)])
            }
        }))
    }
}
