// Asks the API something in JSON. Whatever goes wrong becomes a sentence for people, never one of the browser's own.
import { answered, csrf } from "./session.js";
import { t } from "./words.js";

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status; // 0 where there was no answer
  }
}

// Answers what the service told; raises `Refused`.
export async function ask(method, address, body, headers = {}) {
  let answer;
  try {
    answer = await fetch(address, {
      method,
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf, ...headers },
      body: JSON.stringify(body),
    });
  } catch {
    answered(0);
    throw new Refused(t("The service does not answer. Try again."), 0);
  }
  answered(answer.status);
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 401) throw new Refused(signedOut(), 401);
  if (!answer.ok) throw new Refused(told.detail || t("The service does not answer. Try again."), answer.status);
  return told;
}

export const signedOut = () => t("You were signed out. Sign in again in another tab, then try again.");
