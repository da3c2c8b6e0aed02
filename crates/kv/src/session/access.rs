//! Who a client is: `AUTH`, `HELLO`, and what it takes to be served.
//!
//! There is one user, `default`, and at most one password (`password.rs`).
//!
//! Not here: what a client that has not authenticated may not do
//! (`session.rs`, `connection.rs`).

use std::sync::Arc;

use crate::command::{Credentials, Hello};
use crate::errors;
use crate::info::REDIS_VERSION;
use crate::resp::reply::Reply;
use crate::session::password::Password;
use crate::session::{Action, Session, owned};

/// Wrong passwords that one connection may try before it is closed.
const WRONG_PASSWORDS_MAX: u32 = 16;

impl Session {
    /// Asks for a password from now on.
    pub(crate) fn require(&mut self, password: Arc<Password>) {
        self.password = Some(password);
        self.is_authenticated = false;
    }

    /// Whether the client has shown what it must know, if there is anything.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.is_authenticated
    }

    /// Takes effect as a whole or not at all.
    pub(super) fn hello(&mut self, hello: Hello) -> Result<Reply, Reply> {
        if let Some(credentials) = &hello.credentials {
            self.auth(credentials)?;
        }
        if !self.is_authenticated {
            return Err(Reply::error(errors::HELLO_WITHOUT_AUTH));
        }
        if let Some(name) = hello.name {
            self.name = owned(&name);
        }
        self.version = hello.version.unwrap_or(self.version);
        let text = Reply::bulk_static;
        Ok(Reply::Map(vec![
            (text("server"), text("redis")),
            (text("version"), text(REDIS_VERSION)),
            (text("proto"), Reply::Integer(self.version.number())),
            (text("id"), Reply::Integer(self.id())),
            (text("mode"), text("cluster")),
            (text("role"), text("master")),
            (text("modules"), Reply::Array(Vec::new())),
        ]))
    }

    /// There is one user, `default`. Without a password it may enter with any,
    /// as in Redis, and the old form of `AUTH` is told that it is mistaken.
    pub(super) fn auth(&mut self, credentials: &Credentials) -> Result<(), Reply> {
        let is_default = matches!(credentials.user.as_deref(), None | Some(b"default"));
        match &self.password {
            None if credentials.user.is_none() => Err(Reply::error(errors::NO_PASSWORD_CONFIGURED)),
            None if is_default => Ok(()),
            Some(password) if password.is(&credentials.password) && is_default => {
                self.is_authenticated = true;
                Ok(())
            }
            None | Some(_) => {
                self.refusals.wrong_passwords += 1;
                self.wrong_passwords = self.wrong_passwords.saturating_add(1);
                Err(Reply::error(errors::WRONG_PASSWORD))
            }
        }
    }

    /// Who goes on guessing has to connect again for it.
    pub(super) fn on_wrong_password(&self, refusal: Reply) -> Action {
        if self.wrong_passwords >= WRONG_PASSWORDS_MAX {
            return Action::Close(Some(refusal));
        }
        Action::Answer(refusal)
    }
}
