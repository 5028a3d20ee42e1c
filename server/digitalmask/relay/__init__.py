"""Rooms, invitations, WHIP in and WHEP out."""
