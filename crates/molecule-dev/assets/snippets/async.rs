use molecule_async::{Agent, InboundMessage, Reply, Result, Sender};

#[tokio::main]
async fn main() -> Result<()> {
    let agent = Agent::builder("https://your-platform.example.com", "7fda77bf-a467-441c-9fab-7d8aba8e6040")
        .on_event(|event| eprintln!("{event}"))
        .or_env()
        .build()?;
    let ended = agent.run_agent_loop(handle).await?;
    println!("ended: {ended}");
    Ok(())
}

async fn handle(message: InboundMessage) -> Result<Option<Reply>> {
    match message.sender() {
        Sender::User | Sender::Peer { .. } => Ok(Some(Reply::text(format!("you wrote: {}", message.text())))),
        _ => Ok(None), // a channel, a webhook, or the platform itself
    }
}
