"""One trial: data → network → losses → guard → early stopping."""

from sweep.machine.user_identity import settle_user

settle_user()  # MONAI asks for the user's name when it is imported, in a worker of Ray as well
