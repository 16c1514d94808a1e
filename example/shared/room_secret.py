"""What a backend does to lock a room-space: it keeps the secret in Redis and hands it to the pages that may join."""
import secrets


def room_secret(redis, space):
    """The secret of the rooms `SPACE::…`, which ws-emit compares with what the page sends.

    Made when there is none: a secret that somebody chose, or that open pages have, stays."""
    key = f"ws-emit::room_secret::{space}"
    redis.set(key, secrets.token_urlsafe(), nx=True)
    return redis.get(key).decode()
