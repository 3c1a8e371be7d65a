//! Which answer goes to whom: tickets are places in a table, reused only after they were answered.

use crate::inbox::{Answer, ReplyTo};
use plait_replica::{SessionId, Ticket};
use std::collections::HashMap;

#[derive(Debug, Default)]
pub struct Routes {
    places: Vec<Place>,
    free: Vec<u32>,
    /// Each session's request under way, and where its hang-up goes.
    sessions: HashMap<u64, Session>,
    waiting: usize,
}

#[derive(Debug, Default)]
struct Place {
    /// Counts reuses, so that an old ticket is not taken for a new one.
    round: u32,
    waiting: Option<(SessionId, ReplyTo)>,
}

#[derive(Debug)]
struct Session {
    to: tokio::sync::mpsc::UnboundedSender<Answer>,
    ticket: Option<Ticket>,
}

impl Routes {
    /// Requests that wait for an answer.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Remembers who asked.
    pub fn add(&mut self, session: SessionId, reply: ReplyTo) -> Ticket {
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            u32::try_from(self.places.len() - 1).expect("requests under way are bounded far below 2^32")
        });
        let place = &mut self.places[at as usize];
        place.round = place.round.wrapping_add(1);
        let ticket = Ticket(u64::from(place.round) << 32 | u64::from(at));
        let session_state =
            self.sessions.entry(session.0).or_insert_with(|| Session { to: reply.to.clone(), ticket: None });
        session_state.ticket = Some(ticket);
        place.waiting = Some((session, reply));
        self.waiting += 1;
        ticket
    }

    fn take(&mut self, ticket: Ticket) -> Option<(SessionId, ReplyTo)> {
        let (round, at) = ((ticket.0 >> 32) as u32, ticket.0 as u32);
        let place = self.places.get_mut(at as usize).filter(|place| place.round == round)?;
        let taken = place.waiting.take()?;
        self.free.push(at);
        self.waiting -= 1;
        Some(taken)
    }

    /// Sends an answer home. A client that is gone does not hear it.
    pub fn answer(&mut self, ticket: Ticket, reply: Result<plait_store::Reply, plait_store::Error>) {
        let Some((session, home)) = self.take(ticket) else { return };
        if let Some(state) = self.sessions.get_mut(&session.0)
            && state.ticket == Some(ticket)
        {
            state.ticket = None;
        }
        let _ = home.to.send(Answer::Reply { id: home.id, lane: home.lane, reply });
    }

    /// The machine has ended the session.
    pub fn hang_up(&mut self, session: SessionId) {
        if let Some(state) = self.sessions.remove(&session.0) {
            let _ = state.to.send(Answer::Hangup { session });
        }
    }

    /// The client is gone: nothing is answered any more.
    pub fn closed(&mut self, session: SessionId) {
        if let Some(ticket) = self.sessions.remove(&session.0).and_then(|state| state.ticket) {
            self.take(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    fn home(id: u64) -> (ReplyTo, mpsc::UnboundedReceiver<Answer>) {
        let (to, answers) = mpsc::unbounded_channel();
        (ReplyTo { to, id, lane: 0 }, answers)
    }

    fn id(answer: Answer) -> u64 {
        match answer {
            Answer::Reply { id, .. } => id,
            Answer::Hangup { .. } => panic!("a reply was due"),
        }
    }

    #[test]
    fn answers_go_home_and_old_tickets_go_nowhere() {
        let mut routes = Routes::default();
        let (first, mut first_answers) = home(1);
        let (second, mut second_answers) = home(2);
        let a = routes.add(SessionId(1), first);
        routes.answer(a, Ok(Default::default()));
        let b = routes.add(SessionId(2), second);
        assert_ne!(a, b);
        routes.answer(a, Ok(Default::default()));
        assert_eq!(routes.waiting(), 1);
        routes.answer(b, Ok(Default::default()));
        assert_eq!(id(first_answers.try_recv().unwrap()), 1);
        assert_eq!(id(second_answers.try_recv().unwrap()), 2);
        assert_eq!(routes.waiting(), 0);
    }

    #[test]
    fn a_closed_session_hears_nothing_and_leaves_nothing() {
        let mut routes = Routes::default();
        let (reply, mut answers) = home(1);
        let ticket = routes.add(SessionId(7), reply);
        routes.closed(SessionId(7));
        assert_eq!(routes.waiting(), 0);
        routes.answer(ticket, Ok(Default::default()));
        routes.hang_up(SessionId(7));
        assert!(answers.try_recv().is_err());
    }

    #[test]
    fn a_hang_up_reaches_an_idle_session() {
        let mut routes = Routes::default();
        let (reply, mut answers) = home(1);
        let ticket = routes.add(SessionId(7), reply);
        routes.answer(ticket, Ok(Default::default()));
        routes.hang_up(SessionId(7));
        assert!(matches!(answers.try_recv(), Ok(Answer::Reply { .. })));
        assert!(matches!(answers.try_recv(), Ok(Answer::Hangup { session: SessionId(7) })));
    }
}
