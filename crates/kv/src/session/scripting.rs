//! `EVALSHA` and `SCRIPT`: scripts by their digests.
//!
//! A script that its library spells in its own way is known on every node from
//! the start; another spelling has to be loaded on each node that is to know it.
//!
//! Not here: which scripts are known (`scripts.rs`).

use bytes::Bytes;

use crate::command::{Request, ScriptRequest};
use crate::node::Node;
use crate::resp::reply::Reply;
use crate::scripts::{Script, Scripts};
use crate::{errors, sha1};

/// A script by its digest, as the command it is.
pub(crate) fn evaluated(
    digest: &[u8; 20],
    keys: Vec<Bytes>,
    arguments: &[Bytes],
    node: &mut dyn Node,
) -> Request {
    let mut script = Script::of_digest(digest);
    if script.is_none() {
        node.scripts(&mut |loaded| script = loaded.find(digest));
    }
    let command = script.map(|script| script.command(keys, arguments));
    match command.unwrap_or_else(|| Err(Reply::error(errors::NO_SUCH_SCRIPT))) {
        Ok(command) => Request::Write(command),
        Err(refusal) => Request::Answered(refusal),
    }
}

/// Answers what is about scripts and runs none.
pub(crate) fn answer(request: ScriptRequest, node: &mut dyn Node) -> Reply {
    match request {
        ScriptRequest::Load { digest, script } => {
            node.scripts(&mut |loaded| loaded.load(digest, script));
            Reply::Bulk(sha1::hex(&digest).into())
        }
        ScriptRequest::Exist(digests) => {
            let mut is_there = |digest: [u8; 20]| {
                let mut script = Script::of_digest(&digest);
                node.scripts(&mut |loaded| script = script.or(loaded.find(&digest)));
                script.is_some()
            };
            let known = digests.into_iter().map(|digest| digest.is_some_and(&mut is_there));
            Reply::Array(known.map(|is_known| Reply::Integer(i64::from(is_known))).collect())
        }
        ScriptRequest::Flush => {
            node.scripts(&mut Scripts::forget_all);
            Reply::OK
        }
        ScriptRequest::EvalSha { .. } => Reply::error(errors::NO_SUCH_SCRIPT),
    }
}
