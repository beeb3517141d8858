"""The homes: one folder per competition. A home decides; it never imports another home."""
