"""How a party's share rests on a disk between boots."""
