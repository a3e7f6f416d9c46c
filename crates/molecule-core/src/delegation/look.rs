//! Looking at delegations.

use super::fold::fold;
use super::view::DelegationView;
use crate::call::Call;
use crate::endpoint::{DelegationRows, Endpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::flow::{Flow, Line, Parting, machine_of_flow};

/// Asks for the delegations that this agent sent or, where the platform keeps a ledger, received: `GET
/// /workspaces/:self/delegations` (contract section 14.2; April 8.2). The newest 50 rows are put together to one
/// [`DelegationView`] of each, the newest first; rows that make no sense are left out with a warning.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Delegations(Flow<Result<Vec<DelegationView>>>);

impl Delegations {
    /// All that the newest rows show.
    pub fn newest() -> Self {
        Self(Flow::new(DelegationRows::OPERATION, |line| async move {
            line.check()?;
            look(&line, Call::new(DelegationRows)).await
        }))
    }
}

machine_of_flow!(Delegations, Result<Vec<DelegationView>>);

/// Asks for one of them; `NotFound` if it is not among them.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct DelegationOf(Flow<Result<DelegationView>>);

impl DelegationOf {
    /// The one of this id.
    pub fn new(id: impl AsRef<str>) -> Self {
        let id = id.as_ref().to_owned();
        Self(Flow::new(DelegationRows::OPERATION, |line| async move {
            line.check()?;
            find(&look(&line, Call::new(DelegationRows)).await?, &id)
        }))
    }
}

machine_of_flow!(DelegationOf, Result<DelegationView>);

/// The delegations that this call shows.
pub(super) async fn look(line: &Line, call: Call<DelegationRows>) -> Result<Vec<DelegationView>> {
    let list = line.run("list the delegations", call, Parting::give_up()).await?;
    if list.skipped > 0 {
        let rows = list.skipped;
        line.tell(Event::Warning(format!("the list of delegations has {rows} entries that make no sense")));
    }
    Ok(fold(list.rows))
}

/// The one of this id among them.
pub(super) fn find(views: &[DelegationView], id: &str) -> Result<DelegationView> {
    views.iter().find(|view| view.id == id).cloned().ok_or_else(|| {
        let cause = format!("there is no delegation {id:?} among the newest 50 rows");
        Error::new(ErrorKind::NotFound, "look at a delegation", cause)
            .remedy("check the id that delegate gave; newer delegations may have pushed it out of the list")
    })
}
