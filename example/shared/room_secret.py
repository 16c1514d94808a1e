"""Locks a room-space: the backend keeps the secret in Redis and gives it to the pages that may join."""
import secrets


def room_secret(redis, space):
    """The secret of the rooms `SPACE::…`, which ws-emit compares with the one from the page.

    Creates one if there is none. An existing secret stays, because open pages may use it."""
    key = f"ws-emit::room_secret::{space}"
    redis.set(key, secrets.token_urlsafe(), nx=True)
    return redis.get(key).decode()
