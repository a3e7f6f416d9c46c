//! The values that an agent reports with its next heartbeat.

use molecule_proto::{HeartbeatRequest, RuntimeMetadata, RuntimeState, refuse_nul};

use crate::error::{Error, ErrorKind, Result};

/// Values for the next heartbeat, of `agent.report(…)`. A value that is not set stays as it was; the last value wins.
///
/// ```
/// use molecule_core::Report;
/// let busy = Report::new().active_tasks(2).current_task("reading mail").error_rate(0.02);
/// # let _ = busy;
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "a report changes nothing until it is handed to the agent"]
pub struct Report {
    active_tasks: Option<u32>,
    current_task: Option<String>,
    error_rate: Option<f64>,
    sample_error: Option<String>,
    runtime_state: Option<RuntimeState>,
    monthly_spend: Option<u64>,
    runtime_metadata: Option<RuntimeMetadata>,
}

impl Report {
    /// Makes an empty report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of tasks in work. With 1 or more the platform holds back calls that it has queued: report 0 when
    /// the agent is idle.
    pub fn active_tasks(mut self, count: u32) -> Self {
        self.active_tasks = Some(count);
        self
    }

    /// Sets what the agent does, in a few words; `""` for nothing.
    pub fn current_task(mut self, task: impl Into<String>) -> Self {
        self.current_task = Some(task.into());
        self
    }

    /// Sets the share of failed work, 0 to 1. From 0.5 the platform shows the workspace as degraded, below 0.1 as
    /// online again.
    pub fn error_rate(mut self, rate: f64) -> Self {
        self.error_rate = Some(rate);
        self
    }

    /// Sets one of the errors behind the rate, as text for people. It must not contain secrets.
    pub fn sample_error(mut self, error: impl Into<String>) -> Self {
        self.sample_error = Some(error.into());
        self
    }

    /// Sets the state of the agent's runtime: [`RuntimeState::Wedged`] degrades the workspace until a later heartbeat
    /// reports another state.
    pub fn runtime_state(mut self, state: RuntimeState) -> Self {
        self.runtime_state = Some(state);
        self
    }

    /// Sets the cumulative spend of this month in US cents; 0 leaves the platform's figure as it is.
    pub fn monthly_spend(mut self, cents: u64) -> Self {
        self.monthly_spend = Some(cents);
        self
    }

    /// Sets what the agent takes care of itself. Every heartbeat repeats it, since a heartbeat without it withdraws it.
    pub fn runtime_metadata(mut self, metadata: RuntimeMetadata) -> Self {
        self.runtime_metadata = Some(metadata);
        self
    }

    /// Refuses values that the server would answer with 500 or 400.
    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |cause: String, remedy: &str| Err(Error::new(ErrorKind::Config, "report", cause).remedy(remedy));
        if let Some(rate) = self.error_rate
            && !(0.0..=1.0).contains(&rate)
        {
            return invalid(format!("the error rate is {rate}"), "give a share between 0 and 1");
        }
        if self.monthly_spend.is_some_and(|cents| cents > 1_000_000_000_000) {
            return invalid("the spend passes 1,000,000,000,000 cents".to_owned(), "give it in US cents");
        }
        if self.active_tasks.is_some_and(|count| i32::try_from(count).is_err()) {
            return invalid("more tasks than the platform can count".to_owned(), "give at most 2,147,483,647");
        }
        for (field, text) in [("current_task", &self.current_task), ("sample_error", &self.sample_error)] {
            if let Err(nul) = refuse_nul(field, text.as_deref().unwrap_or_default()) {
                return invalid(nul.to_string(), "remove it");
            }
        }
        Ok(())
    }

    /// Overwrites the values that a newer report sets.
    pub(crate) fn merge(&mut self, newer: Self) {
        fn over<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        over(&mut self.active_tasks, newer.active_tasks);
        over(&mut self.current_task, newer.current_task);
        over(&mut self.error_rate, newer.error_rate);
        over(&mut self.sample_error, newer.sample_error);
        over(&mut self.runtime_state, newer.runtime_state);
        over(&mut self.monthly_spend, newer.monthly_spend);
        over(&mut self.runtime_metadata, newer.runtime_metadata);
    }

    /// Writes the values into a heartbeat. `handling` is the number of messages that the handler works on, which counts
    /// unless the application reports its own number.
    pub(crate) fn fill(&self, beat: &mut HeartbeatRequest, handling: Option<u32>) {
        if let Some(count) = self.active_tasks.or(handling) {
            beat.active_tasks = i64::from(count);
            beat.is_busy = Some(count > 0);
        }
        beat.current_task = self.current_task.clone().unwrap_or_default();
        beat.error_rate = self.error_rate.unwrap_or_default();
        beat.sample_error = self.sample_error.clone().unwrap_or_default();
        beat.runtime_state = self.runtime_state.clone().unwrap_or_default();
        beat.monthly_spend = self.monthly_spend.and_then(|cents| i64::try_from(cents).ok()).unwrap_or_default();
        beat.runtime_metadata = self.runtime_metadata.clone();
    }
}
