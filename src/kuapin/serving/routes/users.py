"""Users: to be forgotten."""

from fastapi import APIRouter

from kuapin.serving.failures import responses

router = APIRouter(tags=["users"], responses=responses(400, 401, 403, 422, 429, 503))
